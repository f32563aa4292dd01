# SPDX-License-Identifier: MIT
"""The audio front-end of the installed library against its float64 reference."""
import ctypes
import os
import unittest

import numpy as np
from tap import TAPTestRunner

import frontend_reference as reference

LIBRARY = os.path.join(os.environ.get("ATTN_BUILDDIR", "."), "clients/.libs/libattnclient.so")
# Values are natural logarithms of magnitudes, and the tolerance is absolute on them. A float32 FFT is right to about 1e-7
# of the loudest bin of its window, so that a band that is silent beside a loud tone may differ by that much more; the
# header says the same.
TOLERANCE = 1e-5
FLOAT32 = 2e-7


def is_sanitized():
    with open(LIBRARY, "rb") as file:
        return b"__asan_init" in file.read()


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("hops", ctypes.c_uint32), ("stride", ctypes.c_uint32)]


class Frontend:
    """attnc_frontend through its C interface."""

    def __init__(self, hops, stride):
        self.library = ctypes.CDLL(LIBRARY)
        self.library.attnc_frontend_push.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self.library.attnc_frontend_next.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self.library.attnc_frontend_free.argtypes = [ctypes.c_void_p]
        self.handle, self.dim = ctypes.c_void_p(), reference.BANDS * hops
        options = Options(ctypes.sizeof(Options), hops, stride)
        assert self.library.attnc_frontend_new(ctypes.byref(self.handle), ctypes.byref(options)) == 0

    def run(self, samples):
        samples = np.ascontiguousarray(samples, np.float32)
        frames, times, used = [], [], 0
        frame, time = np.empty(self.dim, np.float32), ctypes.c_double()
        while used < len(samples):
            taken = self.library.attnc_frontend_push(self.handle, samples.ctypes.data + 4 * used, len(samples) - used)
            assert taken > 0, taken
            used += taken
            while self.library.attnc_frontend_next(self.handle, frame.ctypes.data, ctypes.byref(time)):
                frames.append(frame.copy())
                times.append(time.value)
        self.library.attnc_frontend_free(self.handle)
        return np.array(frames).reshape(-1, self.dim), np.array(times)


def speech_like(t):
    """A gliding fundamental with harmonics, opened and closed four times a second, and a little breath."""
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 1.3 * t)) / reference.RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 30)) * np.maximum(0, np.sin(2 * np.pi * 4 * t))
    return 0.2 * voice + 0.003 * np.random.default_rng(2).standard_normal(len(t))


def signals():
    t = np.arange(3 * reference.RATE) / reference.RATE
    noise = np.random.default_rng(1).uniform(-1, 1, len(t))
    yield "silence", 0 * t
    yield "noise at full scale", noise
    yield "noise at -90 dB", noise * 10 ** (-90 / 20)
    yield "tone of 440 Hz", 0.5 * np.sin(2 * np.pi * 440 * t)
    yield "tone between two bins", 0.9 * np.sin(2 * np.pi * 3265.625 * t)
    yield "tone above the bands", 0.9 * np.sin(2 * np.pi * 7800 * t)
    yield "constant", 0 * t + 0.5
    yield "impulse", (np.arange(len(t)) == 1000).astype(float)
    yield "chirp", 0.8 * np.sin(2 * np.pi * (50 * t + 1300 * t * t))
    yield "speech-like", speech_like(t)
    yield "square at full scale", np.where(np.arange(len(t)) % 160 < 80, 1.0, -1.0)


@unittest.skipIf(is_sanitized(), "a library with sanitizers cannot be loaded into this Python")
class FrontendTest(unittest.TestCase):
    def test_every_signal_is_within_the_tolerance(self):
        worst = 0.0
        for name, samples in signals():
            samples = np.asarray(samples, np.float32)
            expected = reference.log_mel(samples)
            loudest = reference.magnitudes(samples).max(axis=1, keepdims=True)
            difference = np.abs(Frontend(1, 1).run(samples)[0] - expected)
            share = (difference / (TOLERANCE + FLOAT32 * loudest / np.exp(expected))).max()
            print(f"# {name}: largest difference {difference.max():.2e}, {share:.2f} of the tolerance")
            worst = max(worst, share)
        print(f"# worst: {worst:.2f} of the tolerance")
        self.assertLess(worst, 1.0)

    def test_frames_are_made_of_hops_as_the_options_say(self):
        samples = np.random.default_rng(3).uniform(-1, 1, 16000)
        for hops, stride in ((1, 3), (4, 1), (4, 4), (10, 2), (3, 7), (96, 10), (98, 1), (99, 1)):
            frames, times = Frontend(hops, stride).run(samples)
            expected, expected_times = reference.frames(samples, hops, stride)
            np.testing.assert_allclose(frames, expected, rtol=0, atol=TOLERANCE, err_msg=str((hops, stride)))
            np.testing.assert_array_equal(times, expected_times)


if __name__ == "__main__":
    runner = TAPTestRunner()
    runner.set_stream(True)
    unittest.main(testRunner=runner)
