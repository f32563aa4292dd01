# SPDX-License-Identifier: MIT
"""train.py, as somebody uses it who has a folder of sounds: what it says, what it writes, and that the daemon serves that."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import wave

import numpy as np

SRCDIR = os.environ.get("ATTN_SRCDIR", os.getcwd())
sys.path.insert(0, os.path.join(SRCDIR, "tests/system"))
import harness
from harness import ATTNCTL, PATIENCE_S

TRAIN = os.path.join(SRCDIR, "etc/models/train.py")
RATE = 16000
STEPS = 60      # enough to tell a low tone, a high one and noise apart


def write_wav(path, samples):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def sound(kind, number, seconds=2):
    rng = np.random.default_rng(number)
    t = np.arange(seconds * RATE) / RATE
    if kind == "hiss":
        return rng.normal(0, 0.1, len(t))
    hertz = (200 if kind == "low" else 2500) * rng.uniform(0.9, 1.1)
    return 0.2 * np.sin(2 * np.pi * hertz * t) + rng.normal(0, 0.001, len(t))


class Training(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="attnd-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make_sounds(self, kinds=("low", "high", "hiss"), n=12):
        for kind in kinds:
            for i in range(n):
                name = f"{i}.WAV" if i % 2 else os.path.join("more", "of them", f"{i}.wav")
                write_wav(self.path("sounds", kind, name), sound(kind, i))

    def start(self, *words):
        command = [TRAIN, *words, "--cache", self.path("cache"), "--variants", "1", "--jobs", "1", "--length", "64"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)

    def train(self, *words):
        """(exit status, what was said)"""
        process = self.start(*words)
        said, _ = process.communicate(timeout=20 * PATIENCE_S)
        return process.returncode, said

    def hear(self, model, path):
        """The label that a served model gives most of the frames of a recording."""
        done = subprocess.run([ATTNCTL, "stream", "-m", model, path], capture_output=True, check=True, text=True)
        scores = [json.loads(line)["scores"] for line in done.stdout.splitlines()]
        labels = [max(one, key=one.get) for one in scores]
        return max(set(labels), key=labels.count)

    def test_a_folder_of_sounds_becomes_a_model_that_the_daemon_serves(self):
        self.make_sounds()
        with open(self.path("sounds", "low", "broken.flac"), "wb") as file:
            file.write(b"fLaC and nothing else")
        model = self.path("mine.safetensors")
        status, said = self.train(self.path("sounds"), "-o", model, "--steps", str(STEPS), "--every", "20")
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"low +13 ")                         # what there is, before anything takes time
        self.assertRegex(said, r"left out: .*broken\.flac")
        self.assertRegex(said, r"step 20 of 60: loss .* min left")
        self.assertIn("rows: truth; columns: heard", said)
        for kind in ("low", "high", "hiss"):
            write_wav(self.path("new.wav"), sound(kind, 100))
            self.assertEqual(self.hear(model, self.path("new.wav")), kind)
        with harness.Daemon("--models", self.folder) as daemon, daemon.client() as client:
            events = json.loads(client.request("models", model="mine")["models"][0]["events"])
            self.assertEqual(client.open(model="mine")["events"], client.request("models", model="mine")["models"][0]["events"])
        self.assertEqual(set(events), {"frames", "on", "off"})
        self.assertEqual(len(events["on"]), 3)
        status, said = self.train(self.path("sounds"), "--judge", model)
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"held out: \d+ seconds, (9\d|100)\.\d % right")

    def test_ctrl_c_writes_the_best_so_far(self):
        self.make_sounds()
        model = self.path("mine.safetensors")
        process = self.start(self.path("sounds"), "-o", model, "--steps", "100000", "--every", "20")
        said = ""
        while "step 20 of" not in said:
            line = process.stdout.readline()
            self.assertTrue(line, said)
            said += line
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20 * PATIENCE_S)
        self.assertEqual(process.returncode, 0, said + rest)
        self.assertIn("ended by Ctrl-C", rest)
        write_wav(self.path("new.wav"), sound("hiss", 100))
        self.assertEqual(self.hear(model, self.path("new.wav")), "hiss")

    def test_features_with_labels_by_frame_become_a_model(self):
        rng = np.random.default_rng(1)
        os.mkdir(self.path("features"))
        for i in range(14):
            y = np.repeat(rng.integers(1, 4, 12), 20)
            x = rng.normal(0, 0.3, (len(y), 8)) + np.eye(8)[y]
            np.save(self.path("features", f"user{i}.x.npy"), x.astype(np.float32))
            np.save(self.path("features", f"user{i}.y.npy"), y)
        model = self.path("mine.safetensors")
        status, said = self.train(self.path("features"), "-o", model, "--steps", str(2 * STEPS), "--every", "60")
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"held out: \d+ frames, (9\d|100)\.\d % right")
        with harness.Daemon("--models", self.folder) as daemon, daemon.client() as client:
            self.assertEqual(client.open(model="mine")["input_dim"], 8)

    def test_mistakes_are_named_before_anything_takes_time(self):
        self.make_sounds(kinds=("low",))
        for words, expected in (
                ((self.path("sounds"), "-o", self.path("no", "mine.safetensors")), "cannot be written"),
                ((self.path("sounds"), "-o", self.path("mine.safetensors")), "there is one label only, 'low'"),
                ((self.path("cache"), "-o", self.path("mine.safetensors")), "neither a folder nor a table"),
                ((self.path("sounds"),), "say where the model goes"),
                ((self.path("sounds"), "--judge", self.path("sounds", "low", "1.WAV")), "cannot read the model")):
            status, said = self.train(*words)
            self.assertNotEqual(status, 0)
            self.assertIn(expected, said)
            self.assertNotIn("Traceback", said)


if __name__ == "__main__":
    harness.main()
