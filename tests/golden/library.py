# SPDX-License-Identifier: MIT
"""libattn of the build tree through ctypes: raw attention on numpy arrays."""
import ctypes
import os

import numpy as np

ALIGN = 64
EXACT, NYSTROM = 0, 1
MEANS, FIXED = 0, 1
REFRESHES = ["immediate", "spread"]
VARIANTS = ["best", "generic", "avx2", "avx512", "neon"]
SCORES = 0
FLOATS = ctypes.POINTER(ctypes.c_float)
SIZE = ctypes.c_size_t


class Options(ctypes.Structure):
    _fields_ = [("size", SIZE), ("method", ctypes.c_int), ("heads", ctypes.c_uint32), ("head_dim", ctypes.c_uint32),
                ("window", ctypes.c_uint32), ("landmarks", ctypes.c_uint32), ("landmark_policy", ctypes.c_int),
                ("refresh", ctypes.c_int), ("inverse_scale", ctypes.c_int), ("retroactive", ctypes.c_int),
                ("q_landmarks", FLOATS), ("k_landmarks", FLOATS), ("variant", ctypes.c_int)]


class Info(ctypes.Structure):
    _fields_ = [("size", SIZE), ("input_dim", ctypes.c_uint32), ("model_dim", ctypes.c_uint32), ("heads", ctypes.c_uint32),
                ("window", ctypes.c_uint32), ("layers", ctypes.c_uint32), ("replay_frames", ctypes.c_uint32),
                ("warming_frames", ctypes.c_uint32), ("state_bytes", SIZE), ("scratch_bytes", SIZE),
                ("n_labels", ctypes.c_uint32), ("labels", ctypes.c_void_p), ("frontend", ctypes.c_char_p),
                ("hash", ctypes.c_uint64), ("saved_bytes", SIZE), ("variant", ctypes.c_int), ("output_rows", ctypes.c_uint32),
                ("events", ctypes.c_char_p)]


class Frame(ctypes.Structure):
    _fields_ = [("state", ctypes.c_void_p), ("frame", ctypes.c_void_p), ("output", ctypes.c_void_p), ("kind", ctypes.c_int),
                ("error", ctypes.c_int)]


class Work(ctypes.Structure):
    _fields_ = [("multiply_adds", ctypes.c_uint64), ("bytes", ctypes.c_uint64)]


def load():
    library = ctypes.CDLL(os.path.join(os.environ["ATTN_BUILDDIR"], "lib", ".libs", "libattn.so"))
    pointer = ctypes.c_void_p
    library.attn_variant_name.restype = ctypes.c_char_p
    library.attn_plan_free.argtypes, library.attn_plan_free.restype = [pointer], None
    library.attn_scratch_bytes.argtypes, library.attn_scratch_bytes.restype = [pointer, SIZE], SIZE
    library.attn_init.argtypes, library.attn_init.restype = [pointer, pointer], pointer
    library.attn_init_at.argtypes, library.attn_init_at.restype = [pointer, pointer, ctypes.c_uint64], pointer
    library.attn_position.argtypes, library.attn_position.restype = [pointer], ctypes.c_uint64
    library.attn_push.argtypes = [pointer, pointer, pointer, ctypes.c_int, pointer, pointer]
    library.attn_push_batch.argtypes, library.attn_push_batch.restype = [pointer, ctypes.POINTER(Frame), SIZE, pointer], SIZE
    library.attn_batch.argtypes = [pointer, pointer, SIZE, pointer]
    library.attn_last_work.argtypes, library.attn_last_work.restype = [pointer], Work
    library.attn_verify.argtypes = [pointer, pointer, ctypes.POINTER(ctypes.c_double)]
    library.attn_save.argtypes, library.attn_save.restype = [pointer, pointer, pointer], None
    return library


def variants(library):
    """The names of those that this machine has, without "best"."""
    names = [library.attn_variant_name(number) for number in range(len(VARIANTS))]
    return [name.decode() for name in names[1:] if name is not None]


def floats(array):
    return array.ctypes.data_as(FLOATS)


def aligned(n_bytes):
    memory = np.zeros(n_bytes + ALIGN, np.uint8)
    return memory[-memory.ctypes.data % ALIGN:][:n_bytes]


def address(array):
    return array.ctypes.data


def refuse(error, what):
    if error != 0:
        raise ValueError(f"{what}: error {error}")


class Attention:
    """A plan and one stream of it, which begins at `position`."""

    def __init__(self, library, heads, head_dim, window, landmarks=0, scale="matrix", fixed=None, refresh="immediate",
                 retroactive=False, variant="best", position=0):
        self.library = library
        options = Options(size=ctypes.sizeof(Options), method=NYSTROM if landmarks else EXACT, heads=heads, head_dim=head_dim,
                          window=window, landmarks=landmarks, inverse_scale=int(scale == "heads"),
                          refresh=REFRESHES.index(refresh), retroactive=int(retroactive), variant=VARIANTS.index(variant))
        if fixed is not None:
            options.landmark_policy = FIXED
            options.q_landmarks, options.k_landmarks = floats(fixed[0]), floats(fixed[1])
        self.plan = ctypes.c_void_p()
        reason = ctypes.create_string_buffer(256)
        if library.attn_plan_new(ctypes.byref(self.plan), ctypes.byref(options), reason) != 0:
            raise ValueError(reason.value.decode())
        self.info = Info(size=ctypes.sizeof(Info))
        refuse(library.attn_plan_info(self.plan, ctypes.byref(self.info)), "attn_plan_info")
        self.output_shape = (window, heads, head_dim) if retroactive else (heads, head_dim)
        self.memory, self.scratch = aligned(self.info.state_bytes), aligned(self.info.scratch_bytes)
        self.start(position)

    def close(self):
        self.library.attn_plan_free(self.plan)

    def start(self, position):
        """The stream from anew: what the state holds is forgotten."""
        self.state = self.library.attn_init_at(self.plan, address(self.memory), position)

    def run(self, frames):
        """Pushes float32 frames [T, 3, H, d]; returns the outputs [T, H, d], or [T, n, H, d] of a retroactive one."""
        output = np.empty((len(frames), *self.output_shape), np.float32)
        push, scratch = self.library.attn_push, address(self.scratch)
        for t in range(len(frames)):
            frame, row = address(frames) + t * frames.strides[0], address(output) + t * output.strides[0]
            refuse(push(self.plan, self.state, frame, SCORES, row, scratch), f"frame {t}")
        return output

    def batch(self, frames):
        """The same outputs for a stream from position 0 on, each recomputed from the frames up to its own."""
        output = np.empty((len(frames), *self.output_shape), np.float32)
        for t in range(len(output)):
            row = address(output) + t * output.strides[0]
            refuse(self.library.attn_batch(self.plan, address(frames), t + 1, row), "attn_batch")
        return output

    def verify(self):
        """What attn_verify says of the newest output."""
        difference = ctypes.c_double()
        refuse(self.library.attn_verify(self.plan, self.state, ctypes.byref(difference)), "attn_verify")
        return difference.value

    def last_work(self):
        work = self.library.attn_last_work(self.state)
        return work.multiply_adds, work.bytes

    def move(self):
        """Saves the state and goes on with it in other memory."""
        blob = np.zeros(self.info.saved_bytes, np.uint8)
        self.library.attn_save(self.plan, self.state, address(blob))
        memory, state = aligned(self.info.state_bytes), ctypes.c_void_p()
        error = self.library.attn_load(self.plan, ctypes.c_void_p(address(memory)), ctypes.byref(state),
                                       ctypes.c_void_p(address(blob)), SIZE(len(blob)), None)
        refuse(error, "attn_load")
        self.memory[:] = 0xa5
        self.memory, self.state = memory, state.value

    def run_together(self, streams):
        """Pushes frames [S, T, 3, H, d] of as many other streams of this plan, from position 0 on, all in one batch for each position;
        returns their outputs, [S, T, ...]."""
        n_streams, n_frames = streams.shape[:2]
        output = np.empty((n_streams, n_frames, *self.output_shape), np.float32)
        memories = [aligned(self.info.state_bytes) for _ in range(n_streams)]
        states = [self.library.attn_init(self.plan, address(memory)) for memory in memories]
        scratch = aligned(self.library.attn_scratch_bytes(self.plan, n_streams))
        for t in range(n_frames):
            batch = (Frame * n_streams)(*(Frame(state, address(streams[s, t]), address(output[s, t]), SCORES)
                                          for s, state in enumerate(states)))
            applied = self.library.attn_push_batch(self.plan, batch, n_streams, address(scratch))
            refuse(n_streams - applied, "attn_push_batch")
        return output
