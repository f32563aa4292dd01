# SPDX-License-Identifier: MIT
"""What `attnctl attend` writes is what the library computes, to the bit: so all that tests/golden/attention.py shows of the library
against float64 holds for a user's files, too."""
import os
import subprocess
import sys
import unittest

import numpy

import harness

sys.path.insert(0, os.path.join(harness.SRCDIR, "tests/golden"))
import attention  # noqa: E402  (of the golden tests' folder)
import library  # noqa: E402

SIGMA = 2


@unittest.skipIf(harness.SANITIZERS, "a library with sanitizers cannot be loaded into Python")
class AttendBits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon().__enter__()
        cls.library = library.load()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def attend(self, frames, window, landmarks, fixed):
        """The outputs of attnctl attend, by way of files."""
        folder = self.daemon.folder
        numpy.save(os.path.join(folder, "in.npy"), frames)
        options = ["--window", str(window)]
        if fixed is not None:
            numpy.save(os.path.join(folder, "landmarks.npy"), fixed)
            options += ["--landmark-file", os.path.join(folder, "landmarks.npy")]
        elif landmarks:
            options += ["--landmarks", str(landmarks)]
        output = os.path.join(folder, "out.npy")
        subprocess.run([harness.ATTNCTL, "--socket", self.daemon.socket, "attend", *options, os.path.join(folder, "in.npy"),
                        "-o", output], check=True, timeout=4 * harness.PATIENCE_S)
        return numpy.load(output)

    def check_shape(self, n, m, policies):
        for heads, d, policy in [(heads, d, policy) for heads in (1, 4) for d in (12, 64) for policy in policies]:
            frames = attention.inputs("noise", n, heads, d, SIGMA)[:attention.WINDOWS * n]
            fixed = attention.fixed_landmarks(n, m, heads, d, SIGMA) if policy == "fixed" else None
            alone = library.Attention(self.library, heads, d, n, m, fixed=fixed)
            expected = alone.run(frames)
            alone.close()
            numpy.testing.assert_array_equal(self.attend(frames, n, m, fixed).view("u4"), expected.view("u4"),
                                             f"n={n} m={m} H={heads} d={d} {policy}")

    def test_exact(self):
        for n in (12, 120):
            self.check_shape(n, 0, ["exact"])

    def test_nystrom(self):
        for n, m in [*attention.SHAPES, attention.LARGE]:
            self.check_shape(n, m, ["means", "fixed"])


if __name__ == "__main__":
    harness.main()
