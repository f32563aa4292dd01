# SPDX-License-Identifier: MIT
"""What attnctl is given in place of a file: each kind of thing works where it can, is named where it cannot, and nothing
waits without heeding Ctrl-C."""
import contextlib
import json
import os
import signal
import socket
import stat
import threading

import numpy

import attnctl_case
import harness
from attnctl_case import sound, write_wav


class Files(attnctl_case.Case):
    def setUp(self):
        super().setUp()
        write_wav(self.path("tone.wav"), sound(0.5))
        numpy.save(self.path("in.npy"), numpy.ones((8, 3, 1, 2), "f4"))
        os.mkdir(self.path("folder"))
        os.mkfifo(self.path("fifo"))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path("socket"))
        self.addCleanup(listener.close)

    def attend(self, output):
        return ["attend", "--window", "4", "-o", output, self.path("in.npy")]

    def test_what_cannot_be_read_is_named(self):
        for what, words in (("folder", "is a directory"), ("socket", "is a socket"), ("none", "No such file")):
            path = self.path(what)
            for command in (["stream", path], ["stream", "-f", "npy", path], ["features", path, self.path("out.npy")],
                            ["attend", "--window", "4", "-o", self.path("out.npy"), path],
                            ["attend", "--window", "4", "--landmark-file", path, "-o", self.path("out.npy"), self.path("in.npy")]):
                _, errors = self.run_attnctl(*command, status=1)
                self.assertIn(words, errors)
            self.assertFalse(os.path.exists(self.path("out.npy")))

    def test_a_model_is_a_file(self):
        for what, words in (("folder", "is a directory"), ("socket", "is a socket"), ("fifo", "is a FIFO")):
            _, errors = self.run_attnctl("stream", "-m", self.path(what), self.path("tone.wav"), status=1)
            self.assertIn(f"{self.path(what)} {words}: it has to be a file", errors)
        _, errors = self.run_attnctl("stream", "-m", "/dev/zero", self.path("tone.wav"), status=1)
        self.assertIn("/dev/zero is a device: it has to be a file", errors)

    def test_what_cannot_be_written_is_named(self):
        for what, words in (("folder", "is a directory"), ("socket", "is a socket"), ("none/x.npy", "cannot be written: No such file")):
            path = self.path(what)
            for command in (self.attend(path), ["stream", "-o", path, self.path("tone.wav")], ["features", self.path("tone.wav"), path]):
                _, errors = self.run_attnctl(*command, status=1)
                self.assertIn(words, errors)

    def test_what_has_no_end_can_be_interrupted(self):
        endless = self.start("stream", "-f", "s16le", "-r", "16000", "/dev/zero")
        self.assertTrue(endless.stdout.readline())
        endless.send_signal(signal.SIGINT)
        endless.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(endless.returncode, -signal.SIGINT)
        _, errors = self.run_attnctl("stream", "-f", "npy", "/dev/zero", status=1)
        self.assertIn("is not a .npy file", errors)

    def test_a_huge_file_of_holes_is_read_a_little_at_a_time(self):
        rows = 1 << 32
        with open(self.path("huge.npy"), "wb") as file:
            numpy.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, 3, 1, 2)})
            file.truncate(file.tell() + rows * 24)
        process = self.start("attend", "--window", "4", "-o", "-", self.path("huge.npy"))
        self.assertEqual(len(process.stdout.read(1000)), 1000)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, -signal.SIGINT)

    def scores(self, output):
        return [json.loads(line)["scores"] for line in output.splitlines()]

    def test_a_fifo_whose_writer_waits_is_read_to_its_end(self):
        expected, _ = self.run_attnctl("stream", self.path("tone.wav"))

        def write():
            with open(self.path("tone.wav"), "rb") as file, open(self.path("fifo"), "wb") as fifo:
                fifo.write(file.read())

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        output, _ = self.run_attnctl("stream", self.path("fifo"))
        self.assertEqual(self.scores(output), self.scores(expected))
        writer.join(harness.PATIENCE_S)

    def test_a_fifo_whose_writer_comes_late_is_read_to_its_end(self):
        expected, _ = self.run_attnctl("stream", self.path("tone.wav"))
        process = self.start("stream", self.path("fifo"))

        def reached():
            with contextlib.suppress(OSError):      # no reader yet
                return os.open(self.path("fifo"), os.O_WRONLY | os.O_NONBLOCK)
            return None

        fifo = harness.until(reached)
        os.set_blocking(fifo, True)
        with open(self.path("tone.wav"), "rb") as file, open(fifo, "wb") as writer:
            writer.write(file.read())
        output, errors = process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, 0, errors)
        self.assertEqual(self.scores(output), self.scores(expected))

    def test_a_fifo_is_written_as_a_pipe(self):
        self.run_attnctl(*self.attend(self.path("out.npy")))
        process = self.start(*self.attend(self.path("fifo")))
        with open(self.path("fifo"), "rb") as fifo, open(self.path("out.npy"), "rb") as file:
            self.assertEqual(fifo.read(), file.read())
        process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, 0)
        self.run_attnctl(*self.attend("/dev/null"))

    def test_an_output_through_a_link_is_written_where_it_leads(self):
        numpy.save(self.path("folder/real.npy"), numpy.zeros(1, "f4"))
        os.chmod(self.path("folder/real.npy"), 0o640)
        for target, link in (("folder/real.npy", "link.npy"), ("folder/new.npy", "hanging.npy")):
            os.symlink(target, self.path(link))
            self.run_attnctl(*self.attend(self.path(link)))
            self.assertEqual(os.readlink(self.path(link)), target)
            self.assertEqual(numpy.load(self.path(target)).shape, (8, 1, 2))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("folder/real.npy")).st_mode), 0o640)
        self.assertEqual(sorted(os.listdir(self.path("folder"))), ["new.npy", "real.npy"])

    def test_an_output_is_as_it_was_where_the_run_fails(self):
        numpy.save(self.path("out.npy"), numpy.zeros((5, 1, 2), "f4"))
        frames = numpy.ones((8, 3, 1, 2), "f4")
        frames[4] = numpy.nan
        numpy.save(self.path("in.npy"), frames)
        self.run_attnctl(*self.attend(self.path("out.npy")), status=1)
        self.assertEqual(numpy.load(self.path("out.npy")).shape, (5, 1, 2))
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("out")], ["out.npy"])


class Waiting(attnctl_case.Scripted):
    """For the other end of a FIFO, which nobody opens."""

    def interrupt(self, method, answer, *command):
        """Interrupts attnctl once it has asked the last thing before it opens the FIFO."""
        asked = threading.Event()

        def reply(_):
            asked.set()
            return answer

        self.serve(**{method: reply})
        process = self.start(*command)
        self.assertTrue(asked.wait(harness.PATIENCE_S))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual((process.returncode, errors), (-signal.SIGINT, b""))

    def test_it_can_be_interrupted(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        numpy.save(self.path("in.npy"), numpy.ones((8, 3, 1, 2), "f4"))
        models = {"models": [attnctl_case.MODEL]}
        self.interrupt("models", models, "stream", "-m", "tiny", fifo)
        self.interrupt("models", models, "stream", "-m", "tiny", "-f", "npy", fifo)
        self.interrupt("models", models, "features", "-m", "tiny", fifo, self.path("out.npy"))
        self.interrupt("open", {**attnctl_case.OPENED, "input_dim": 6}, "attend", "--window", "4", "-o", fifo, self.path("in.npy"))
        self.assertFalse(os.path.exists(self.path("out.npy")))


if __name__ == "__main__":
    harness.main()
