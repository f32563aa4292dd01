# SPDX-License-Identifier: MIT
"""The bundled model, heard through the daemon and attnctl: the demo recording, and recordings that no script of ours made."""
import glob
import json
import os
import subprocess
import unittest

import harness

MODELS = os.path.join(harness.SRCDIR, "etc/models")
DEMO = os.path.join(harness.SRCDIR, "etc/examples/demo.flac")
ALSA = "/usr/share/sounds/alsa"


def read_truth():
    """[(start_s, end_s, label)] of the demo recording."""
    with open(DEMO.replace(".flac", ".tsv"), encoding="utf-8") as file:
        rows = [line.split("\t") for line in file.read().splitlines() if line and not line.startswith("#")]
    return [(float(start), float(end), label) for start, end, label in rows]


def stream(daemon, path):
    """The NDJSON lines of `attnctl stream` as objects."""
    done = subprocess.run([harness.ATTNCTL, "--socket", daemon.socket, "stream", "-m", "sounds", path], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.PATIENCE_S * 4)
    return [json.loads(line) for line in done.stdout.splitlines()]


def best(scores):
    return max(scores, key=scores.get)


def heard_by_second(lines):
    """{second: the label with the largest mean score of the frames that end in it}"""
    sums = {}
    for line in lines:
        total = sums.setdefault(int(line["time_s"]), dict.fromkeys(line["scores"], 0.0))
        for label, score in line["scores"].items():
            total[label] += score
    return {second: best(total) for second, total in sums.items()}


class TheBundledModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon("--models", MODELS).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def test_hears_every_second_of_the_demo_that_is_not_a_boundary(self):
        truth = read_truth()
        heard = heard_by_second(stream(self.daemon, DEMO))
        checked = 0
        for start, end, label in truth:
            for second, guess in heard.items():
                if start <= second and second + 1 <= end:
                    checked += 1
                    self.assertEqual(guess, label, f"second {second} of the demo")
        self.assertGreater(checked, 20)
        self.assertEqual({label for _, _, label in truth}, {"speech", "music", "noise", "silence"})

    def check_alsa(self, pattern, label):
        paths = sorted(glob.glob(os.path.join(ALSA, pattern)))
        if not paths:
            self.skipTest("alsa-utils' recordings are not installed")
        for path in paths:
            self.assertEqual(heard_by_second(stream(self.daemon, path))[0], label, os.path.basename(path))

    def test_hears_the_voices_of_alsa_utils_as_speech_from_their_first_second(self):
        self.check_alsa("*_*.wav", "speech")

    def test_hears_the_noise_of_alsa_utils_as_noise_from_its_first_second(self):
        self.check_alsa("Noise.wav", "noise")


if __name__ == "__main__":
    harness.main()
