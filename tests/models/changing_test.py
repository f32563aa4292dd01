# SPDX-License-Identifier: MIT
"""Generated sound that changes: every kind is sound, changes more than steady noise does, and is the same for the same seed."""
import os
import sys
import unittest

import numpy

SRCDIR = os.environ.get("ATTN_SRCDIR", os.getcwd())
sys.path[:0] = [os.path.join(SRCDIR, "etc/models"), os.path.join(SRCDIR, "tests/system")]
import changing
import harness
import sound

SECONDS = 6


def make(function, seed):
    x = function(numpy.random.default_rng(seed), SECONDS * sound.RATE)
    return x / (numpy.abs(x).max() + 1e-9)


def change(x):
    """Mean step of the log-mels from one tenth of a second to the next."""
    mels = sound.log_mels(0.3 * x)
    tenths = mels[:len(mels) // 10 * 10].reshape(-1, 10, sound.BANDS).mean(1)
    return numpy.abs(numpy.diff(tenths, axis=0)).mean()


class ChangingSound(unittest.TestCase):
    def test_each_kind_is_sound_of_the_length_that_was_asked_for(self):
        for function in (*changing.CHANGING, changing.tones, changing.room_tone):
            for seed in range(8):
                x = make(function, seed)
                self.assertEqual(len(x), SECONDS * sound.RATE, function.__name__)
                self.assertTrue(numpy.isfinite(x).all(), function.__name__)
                self.assertGreater(sound.levels(x).max(), -20, function.__name__)

    def test_each_kind_changes_more_than_steady_noise(self):
        steady = change(make(lambda rng, n: rng.standard_normal(n), 0))
        for function in changing.CHANGING:
            self.assertGreater(numpy.median([change(make(function, seed)) for seed in range(9)]), steady, function.__name__)

    def test_the_same_seed_gives_the_same_sound_and_another_another(self):
        for function in changing.CHANGING:
            self.assertTrue(numpy.array_equal(make(function, 1), make(function, 1)), function.__name__)
            self.assertFalse(numpy.array_equal(make(function, 1), make(function, 2)), function.__name__)


if __name__ == "__main__":
    harness.main()
