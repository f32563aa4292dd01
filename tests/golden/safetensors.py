# SPDX-License-Identifier: MIT
"""Writes attnd model files (attnd-model(7)) from numpy arrays, for the tests and for the programs that make test data."""

import json
import struct

import numpy


def to_bytes(configuration, tensors):
    """The file: `configuration` is the object that attnd reads, `tensors` maps names to arrays, written as float32."""
    header = {"__metadata__": {"attnd": json.dumps(configuration, ensure_ascii=False)}}
    data = []
    offset = 0
    for name, array in tensors.items():
        values = numpy.ascontiguousarray(array, dtype="<f4")
        header[name] = {
            "dtype": "F32",
            "shape": list(values.shape),
            "data_offsets": [offset, offset + values.nbytes],
        }
        offset += values.nbytes
        data.append(values.tobytes())
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data)


def write(path, configuration, tensors):
    with open(path, "wb") as file:
        file.write(to_bytes(configuration, tensors))
