# SPDX-License-Identifier: MIT
"""What the tests of attnctl share: running it, a tiny model that hears, and recordings for it to hear."""
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest
import wave

import numpy

import harness

sys.path.insert(0, os.path.join(harness.SRCDIR, "tests/golden"))
import safetensors  # noqa: E402  (of the golden tests' folder)

RATE = 16000
WINDOW = 8
LABELS = ["low", "high", "nothing"]
FRONTEND = {"type": "vggish", "hops": 4, "stride": 2}
INPUT_DIM = 256


def write_model(path, frontend=FRONTEND, input_dim=INPUT_DIM, labels=LABELS, seed=1):
    """One exact layer of width 8 with random weights: enough to tell right frames from wrong ones."""
    random = numpy.random.default_rng(seed)
    width = 8
    configuration = {
        "version": 1, "input_dim": input_dim, "model_dim": width, "heads": 2, "window": WINDOW, "positions": 0,
        "residual_tap": "newest", "norm": "post", "activation": "gelu", "head": "softmax", "layers": [{"method": "exact"}],
        "labels": labels,
    }
    if frontend:
        configuration["frontend"] = frontend
    shapes = {"embed": (width, input_dim), "blocks.0.ff1": (16, width), "blocks.0.ff2": (width, 16), "head": (len(labels), width)}
    tensors = {}
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = random.standard_normal(shape) / numpy.sqrt(shape[1])
        tensors[f"{name}.bias"] = random.standard_normal(shape[0])
    for name in ("blocks.0.norm1", "blocks.0.norm2", "norm"):
        tensors[f"{name}.weight"] = numpy.ones(width)
        tensors[f"{name}.bias"] = numpy.zeros(width)
    safetensors.write(path, configuration, tensors)


def sound(seconds=1.0, rate=RATE, hertz=440.0):
    """Samples of a tone with noise, int16."""
    random = numpy.random.default_rng(7)
    time = numpy.arange(int(seconds * rate)) / rate
    return numpy.int16(8000 * numpy.sin(2 * numpy.pi * hertz * time) + 500 * random.standard_normal(len(time)))


def write_wav(path, samples, rate=RATE, channels=1):
    with wave.open(path, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(numpy.int16(samples).tobytes())


def n_frames(n_samples):
    """Frames that the front-end makes of so many samples at 16 kHz."""
    hops = max(0, (n_samples - 400) // 160 + 1)
    return max(0, (hops - FRONTEND["hops"]) // FRONTEND["stride"] + 1)


class Case(unittest.TestCase):
    """Runs attnctl in a folder of its own, away from any daemon of the machine's."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="attnd-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {**os.environ, "ATTND_SOCKET": self.path("nobody.sock"), "TMPDIR": self.folder,
                            "ATTND_MODELS": self.path("models"), "ATTND": harness.ATTND}
        self.environment.pop("XDG_RUNTIME_DIR", None)
        os.mkdir(self.path("models"))
        write_model(self.path("models/tiny.safetensors"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, *arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([harness.ATTNCTL, *arguments], env=self.environment, **options)

    def run_attnctl(self, *arguments, stdin=b"", status=0):
        """Standard output and standard error of a run that has to end with `status`."""
        done = subprocess.run([harness.ATTNCTL, *arguments], env=self.environment, input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=2 * harness.PATIENCE_S, check=False)
        errors = done.stderr.decode()
        self.assertEqual(done.returncode, status, errors)
        return done.stdout, errors

    def lines(self, *arguments, stdin=b"", status=0):
        return [json.loads(line) for line in self.run_attnctl(*arguments, stdin=stdin, status=status)[0].splitlines()]

    def on_terminal(self, *arguments):
        """What is shown on a terminal of 80 columns."""
        ours, theirs = pty.openpty()
        self.environment.update(TERM="xterm", COLUMNS="80", LC_ALL="C.UTF-8")
        process = self.start(*arguments, stdout=theirs, stderr=subprocess.DEVNULL)
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:     # the terminal's end of file
            pass
        os.close(ours)
        self.assertEqual(process.wait(harness.PATIENCE_S), 0)
        return shown.decode()

    def assert_nothing_left(self):
        """No private daemon's folder; the daemons themselves end with their pipe."""
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("attnctl-")], [])
