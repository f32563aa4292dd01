# SPDX-License-Identifier: MIT
"""libattn of the build tree through ctypes: raw attention on numpy arrays."""
import ctypes
import os

import numpy as np

ALIGN = 64
EXACT, NYSTROM = 0, 1
MEANS, FIXED = 0, 1
FLOATS = ctypes.POINTER(ctypes.c_float)


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("method", ctypes.c_int), ("heads", ctypes.c_uint32), ("head_dim", ctypes.c_uint32),
                ("window", ctypes.c_uint32), ("landmarks", ctypes.c_uint32), ("landmark_policy", ctypes.c_int),
                ("refresh", ctypes.c_int), ("inverse_scale", ctypes.c_int), ("retroactive", ctypes.c_int),
                ("q_landmarks", FLOATS), ("k_landmarks", FLOATS)]


class Info(ctypes.Structure):
    _fields_ = [("input_dim", ctypes.c_uint32), ("model_dim", ctypes.c_uint32), ("heads", ctypes.c_uint32),
                ("window", ctypes.c_uint32), ("layers", ctypes.c_uint32), ("replay_frames", ctypes.c_uint32),
                ("warming_frames", ctypes.c_uint32), ("state_bytes", ctypes.c_size_t), ("scratch_bytes", ctypes.c_size_t),
                ("n_labels", ctypes.c_uint32), ("labels", ctypes.c_void_p), ("frontend", ctypes.c_char_p),
                ("hash", ctypes.c_uint64)]


def load():
    library = ctypes.CDLL(os.path.join(os.environ["ATTN_BUILDDIR"], "lib", ".libs", "libattn.so"))
    library.attn_init.restype = ctypes.c_void_p
    library.attn_plan_free.restype = library.attn_plan_info.restype = None
    return library


def floats(array):
    return array.ctypes.data_as(FLOATS)


def aligned(n_bytes):
    memory = np.zeros(n_bytes + ALIGN, np.uint8)
    return memory[-memory.ctypes.data % ALIGN:][:n_bytes]


class Attention:
    """A plan and one stream of it."""

    def __init__(self, library, heads, head_dim, window, landmarks=0, scale="matrix", fixed=None):
        self.library, self.shape = library, (heads, head_dim)
        options = Options(size=ctypes.sizeof(Options), method=NYSTROM if landmarks else EXACT, heads=heads, head_dim=head_dim,
                          window=window, landmarks=landmarks, inverse_scale=int(scale == "heads"))
        if fixed is not None:
            options.landmark_policy = FIXED
            options.q_landmarks, options.k_landmarks = floats(fixed[0]), floats(fixed[1])
        self.plan = ctypes.c_void_p()
        reason = ctypes.create_string_buffer(256)
        if library.attn_plan_new(ctypes.byref(self.plan), ctypes.byref(options), reason) != 0:
            raise ValueError(reason.value.decode())
        info = Info()
        library.attn_plan_info(self.plan, ctypes.byref(info))
        self.memory, self.scratch = aligned(info.state_bytes), aligned(info.scratch_bytes)
        self.state = ctypes.c_void_p(library.attn_init(self.plan, ctypes.c_void_p(self.memory.ctypes.data)))

    def close(self):
        self.library.attn_plan_free(self.plan)

    def run(self, frames):
        """Pushes float32 frames [T, 3, H, d]; returns the outputs [T, H, d]."""
        output = np.empty((len(frames), *self.shape), np.float32)
        scratch = ctypes.c_void_p(self.scratch.ctypes.data)
        for frame, row in zip(frames, output):
            if self.library.attn_push(self.plan, self.state, floats(frame), 0, floats(row), scratch) != 0:
                raise ValueError("a frame was refused")
        return output

    def batch(self, frames):
        """The same outputs, each recomputed from the frames up to its own."""
        output = np.empty((len(frames), *self.shape), np.float32)
        for t, row in enumerate(output):
            if self.library.attn_batch(self.plan, floats(frames), ctypes.c_size_t(t + 1), floats(row)) != 0:
                raise ValueError("the batch form failed")
        return output
