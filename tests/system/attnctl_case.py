# SPDX-License-Identifier: MIT
"""What the tests of attnctl share: running it, a tiny model that hears, and recordings for it to hear."""
import contextlib
import json
import os
import pty
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import wave

import msgpack
import numpy

import harness

sys.path.insert(0, os.path.join(harness.SRCDIR, "tests/golden"))
import safetensors  # noqa: E402  (of the golden tests' folder)

RATE = 16000
WINDOW = 8
LABELS = ["low", "high", "nothing"]
FRONTEND = {"type": "vggish", "hops": 4, "stride": 2}
INPUT_DIM = 256

# What a scripted daemon answers, unless a test says otherwise.
MODEL = {"name": "tiny", "input_dim": INPUT_DIM, "frontend": FRONTEND}
OPENED = {"stream": 1, "input_dim": INPUT_DIM, "output_dim": 2, "credit": 4, "next_frame": 0}


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


class Refusal:
    """The error that a scripted daemon answers a request with."""

    def __init__(self, **error):
        self.error = error


class Scripted(Case):
    """A daemon that answers as a test says."""

    def setUp(self):
        super().setUp()
        self.listen()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.environment["ATTND_SOCKET"])
        self.listener.listen()
        self.addCleanup(self.listener.close)

    def serve(self, on_push=None, **answers):
        """Answers one connection: each request with its entry, a push with what on_push returns, None being the end."""
        answers = {"hello": {"server": "hostile"}, "models": {"models": [MODEL]}, "open": OPENED, **answers}

        def answer(message):
            if message[0] == 0:
                result = answers.get(message[2], {})
                result = result(message[3]) if callable(result) else result
                if isinstance(result, Refusal):
                    return harness.pack([1, message[1], result.error, None])
                return harness.pack([1, message[1], None, result])
            return on_push(message[2]) if on_push else b""

        listener = self.listener

        def run():
            try:
                connection, _ = listener.accept()
            except OSError:     # nobody came
                return
            connection.settimeout(harness.PATIENCE_S)
            with connection, connection.makefile("rb") as file:
                file.read(len(harness.PREFACE))
                while len(head := file.read(4)) == 4:
                    reply = answer(msgpack.unpackb(file.read(struct.unpack(">I", head)[0])))
                    if reply is None:
                        return
                    try:
                        connection.sendall(reply)
                    except OSError:
                        return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, harness.PATIENCE_S)
        self.addCleanup(self.hang_up, listener)

    @staticmethod
    def hang_up(listener):
        """Ends the waits for connections that were not made."""
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
