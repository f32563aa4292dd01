# SPDX-License-Identifier: MIT
"""Model files, attnd-model(7): written and read, and what training puts into them."""
import json
import math
import os
import struct

import torch

from network import Encoder

SHARED = ("input_dim", "model_dim", "heads", "window", "positions", "norm", "head", "labels", "frontend", "events")


def description(c, training):
    """What the file says about its tensors."""
    layer = {"method": "nystrom", "landmarks": c["landmarks"], "landmark_policy": "means", "refresh": "immediate",
             "inverse_scale": "matrix"} if c["landmarks"] else {"method": "exact"}
    shared = {key: c[key] for key in SHARED if c.get(key) is not None}
    return {"version": 1, **shared, "residual_tap": "newest", "activation": "gelu", "layers": [layer] * c["layers"],
            "training": training}


def digest(c, tensors):
    """What a daemon is to find when it computes the same frames, by the equations that were trained with: attnd-model(7), DIGEST.

    None where single precision gives something else than double: there a daemon would be right to differ, too."""
    n_frames, random, frames = min(2 * c["window"] + 3, 1024), 1, []

    def draw():
        nonlocal random
        random = (random * 1664525 + 1013904223) % 2 ** 32
        return (random >> 8) / 2 ** 23 - 1

    for _ in range(n_frames):
        mean = 3 * draw()
        frames.append([mean + 2 * draw() for _ in range(c["input_dim"])])
    head = {"sigmoid": torch.sigmoid, "softmax": lambda x: x.softmax(-1), "identity": lambda x: x}[c["head"]]

    def scores(dtype):
        model = Encoder({**c, "dropout": 0}).to(dtype).eval()
        model.load_state_dict({name: tensor.to(dtype) for name, tensor in tensors.items()})
        with torch.no_grad():
            return head(model(torch.tensor([frames], dtype=dtype))[0, -1]).double()

    found = scores(torch.float64)
    if (found - scores(torch.float32)).abs().max() > 1e-4 * max(1, found.abs().max()):
        return None
    return {"frames": n_frames, "scores": [round(float(score), 9) for score in found]}


def write_model(path, c, tensors, training):
    """A safetensors file: the header's length, the header, the tensors."""
    about = {**description(c, training), "digest": digest(c, tensors)}
    header, body = {"__metadata__": {"attnd": json.dumps(about, ensure_ascii=False)}}, b""
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
    os.replace(path + ".part", path)


def read_model(path):
    """Configuration and tensors of a file that train.py wrote; ValueError where another program did."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(min(struct.unpack("<Q", file.read(8))[0], 1 << 20)))
            body = bytearray(file.read())
        about = json.loads(header.pop("__metadata__")["attnd"])
        tensors = {name: torch.frombuffer(body, dtype=torch.float32, offset=entry["data_offsets"][0],
                                          count=math.prod(entry["shape"])).view(entry["shape"])
                   for name, entry in header.items()}
        first = about["layers"][0]
        c = {**{key: about.get(key) for key in SHARED}, "landmarks": first.get("landmarks", 0), "layers": len(about["layers"]),
             "hidden_dim": len(tensors["blocks.0.ff1.bias"]), "training": about.get("training", {})}
        plain = {key: value for key, value in first.items() if key not in ("landmarks", "head_merge", "retroactive")}
        ours = description(c, {})["layers"][0]
        if {key: ours[key] for key in plain if key in ours} != plain or about["residual_tap"] != "newest" or \
                any(layer != first for layer in about["layers"]):
            raise ValueError("train.py makes no such model")
    except (OSError, struct.error, ValueError, KeyError, IndexError) as error:
        raise ValueError(f"cannot read the model {path}: {error}")
    return c, tensors


def fold(tensors, mean, std):
    """Tensors for frames as they come, from tensors for frames with mean 0 and deviation 1."""
    weight = tensors["embed.weight"].double() / std
    bias = tensors["embed.bias"].double() - weight @ mean
    return {**tensors, "embed.weight": weight.float(), "embed.bias": bias.float()}


def unfold(tensors, mean, std):
    """The other way."""
    bias = tensors["embed.bias"].double() + tensors["embed.weight"].double() @ mean
    weight = tensors["embed.weight"].double() * std
    return {**tensors, "embed.weight": weight.float(), "embed.bias": bias.float()}
