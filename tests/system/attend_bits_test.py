# SPDX-License-Identifier: MIT
"""What `attnctl attend` writes is what the library computes, to the bit, with every option: so all that tests/golden/attention.py shows of
the library against float64 holds for a user's files, too."""
import itertools
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
OPTIONS = list(itertools.product(("means", "fixed"), ("immediate", "spread"), ("matrix", "heads")))


@unittest.skipIf(harness.SANITIZERS, "a library with sanitizers cannot be loaded into Python")
class AttendBits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon().__enter__()
        cls.library = library.load()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def attend(self, frames, fixed, *options):
        """The outputs of attnctl attend, by way of files."""
        folder = self.daemon.folder
        numpy.save(os.path.join(folder, "in.npy"), frames)
        if fixed is not None:
            numpy.save(os.path.join(folder, "landmarks.npy"), fixed)
            options += ("--landmark-file", os.path.join(folder, "landmarks.npy"))
        output = os.path.join(folder, "out.npy")
        subprocess.run([harness.ATTNCTL, "--socket", self.daemon.socket, "attend", *options, os.path.join(folder, "in.npy"),
                        "-o", output], check=True, timeout=4 * harness.PATIENCE_S)
        return numpy.load(output)

    def check(self, n, m, heads, d, policy="means", refresh="immediate", scale="matrix", retroactive=False, n_frames=None):
        frames = attention.inputs("noise", n, heads, d, SIGMA)[:n_frames or attention.WINDOWS * n]
        fixed = attention.fixed_landmarks(n, m, heads, d, SIGMA) if policy == "fixed" else None
        alone = library.Attention(self.library, heads, d, n, m, scale, fixed, refresh, retroactive)
        expected = alone.run(frames)
        alone.close()
        options = ["--window", str(n), "--refresh", refresh, "--inverse-scale", scale]
        options += ["--landmarks", str(m)] * (m > 0 and fixed is None) + ["--retroactive"] * retroactive
        name = f"n={n} m={m} H={heads} d={d} {policy} {refresh} {scale}{' retroactive' if retroactive else ''}"
        numpy.testing.assert_array_equal(self.attend(frames, fixed, *options).view("u4"), expected.view("u4"), name)

    def test_exact(self):
        for n, heads, d, retroactive in itertools.product((12, 120), (1, 4), (12, 64), (False, True)):
            self.check(n, 0, heads, d, retroactive=retroactive, n_frames=2 * n + 7 if retroactive else None)

    def test_nystrom(self):
        """Every combination of the options at some shape, and at every shape some: n mod m is 0, and is not."""
        for i, (n, m) in enumerate([*attention.SHAPES, (13, 5), attention.LARGE]):
            for heads, d in itertools.product((1, 4), (12, 64)):
                for policy, refresh, scale in OPTIONS[i % 2::2 if n > 100 else 1]:
                    self.check(n, m, heads, d, policy, refresh, scale)

    def test_retroactive_nystrom(self):
        for (n, m), (policy, refresh, scale) in itertools.product([(12, 4), (13, 5), (26, 1), (8, 8)], OPTIONS):
            self.check(n, m, 3, 12, policy, refresh, scale, retroactive=True)
        self.check(120, 16, 4, 16, refresh="spread", retroactive=True, n_frames=300)


if __name__ == "__main__":
    harness.main()
