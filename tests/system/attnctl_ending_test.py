# SPDX-License-Identifier: MIT
"""attnctl that a signal ends: it dies by that signal, as the shell has to see, and leaves nothing behind."""
import os
import resource
import select
import signal
import subprocess
import sys
import threading

import numpy

import attnctl_case
import harness
from attnctl_case import sound, write_wav

WISHES = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ENDS = [signal.SIGQUIT, signal.SIGPIPE, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU, signal.SIGXFSZ,
        signal.SIGABRT, signal.SIGRTMIN]

# A daemon that makes its files, and then takes for ever to start: before it listens, or before it greets its client.
NEVER_STARTS = """#!{python}
import os, socket, sys
def value(name):
    return sys.argv[sys.argv.index(name) + 1]
open(value("--socket") + ".lock", "w").close()
listener = socket.socket(socket.AF_UNIX)
listener.bind(value("--socket"))
if {listens}:
    listener.listen()
    connection, _ = listener.accept()
with open("{started}.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("{started}.new", "{started}")
os.read(int(value("--until-eof")), 1)
"""


class Ending(attnctl_case.Case):
    def setUp(self):
        super().setUp()
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        write_wav(self.path("tone.wav"), sound(0.5))

    def end(self, process, number):
        """It is sent the signal, and has to die by it."""
        process.send_signal(number)
        out, errors = process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, -number, errors)
        return out

    def check_gone(self, watch):
        self.assertTrue(select.select([watch], [], [], harness.PATIENCE_S)[0], "the private daemon lives on")
        os.close(watch)
        self.assert_nothing_left()

    def starting(self, listens, numbers):
        with open(self.path("attnd"), "w", encoding="utf-8") as file:
            file.write(NEVER_STARTS.format(python=sys.executable, started=self.path("started"), listens=listens))
        os.chmod(self.path("attnd"), 0o755)
        self.environment["ATTND"] = self.path("attnd")
        for number in numbers:
            process = self.start("stream", self.path("tone.wav"))
            harness.until(lambda: os.path.exists(self.path("started")))
            with open(self.path("started"), encoding="ascii") as file:
                watch = os.pidfd_open(int(file.read()))
            os.unlink(self.path("started"))
            self.end(process, number)
            self.check_gone(watch)

    def test_a_private_daemon_that_starts_goes_with_it(self):
        self.starting(False, WISHES + ENDS)

    def test_a_private_daemon_that_does_not_greet_goes_with_it(self):
        self.starting(True, WISHES)

    def streaming(self, *arguments, **options):
        """attnctl in the middle of a stream from a pipe, an answer to each frame read; and a watch on its daemon."""
        process = self.start("stream", "--json", "-f", "s16le", "-r", "16000", *arguments, "-", stdin=subprocess.PIPE, **options)
        process.stdin.write(sound(0.5).tobytes())
        process.stdin.flush()
        for _ in range(attnctl_case.n_frames(8000)):
            process.stdout.readline()
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            return process, os.pidfd_open(int(file.read()))

    def outputs(self):
        return sorted(name for name in os.listdir(self.folder) if name.startswith("scores"))

    def test_an_output_is_whole_or_as_it_was_before(self):
        numpy.save(self.path("scores.npy"), numpy.zeros((1, 2), "f4"))
        for number in ENDS:
            process, watch = self.streaming("-o", self.path("scores.npy"))
            self.end(process, number)
            self.check_gone(watch)
            self.assertEqual(self.outputs(), ["scores.npy"])
            self.assertEqual(numpy.load(self.path("scores.npy")).shape, (1, 2))
        for number in WISHES:       # what was sent is answered and kept
            process, watch = self.streaming("-o", self.path("scores.npy"))
            self.end(process, number)
            self.check_gone(watch)
            self.assertEqual(self.outputs(), ["scores.npy"])
            self.assertEqual(numpy.load(self.path("scores.npy")).shape, (attnctl_case.n_frames(8000), 3))
            os.unlink(self.path("scores.npy"))

    def test_a_signal_that_is_ignored_stays_so(self):
        for number in WISHES:
            process, watch = self.streaming(preexec_fn=lambda ignored=number: signal.signal(ignored, signal.SIG_IGN))
            process.send_signal(number)
            _, errors = process.communicate(timeout=harness.PATIENCE_S)
            self.assertEqual(process.returncode, 0, errors)
            self.check_gone(watch)


class Waiting(attnctl_case.Scripted):
    def test_a_second_signal_ends_what_the_first_one_waits_for(self):
        write_wav(self.path("tone.wav"), sound(0.5))
        asked, held = threading.Event(), threading.Event()

        def finish(_):
            asked.set()
            held.wait(harness.PATIENCE_S)
            return {}

        self.serve(open={**attnctl_case.OPENED, "credit": 64}, on_push=lambda params: b"", finish=finish)
        self.addCleanup(held.set)
        process = self.start("stream", "-o", self.path("scores.npy"), "-f", "s16le", "-r", "16000", "-", stdin=subprocess.PIPE)
        process.stdin.write(sound(0.5).tobytes())
        process.stdin.flush()
        harness.until(lambda: any(name.startswith("scores.npy.") for name in os.listdir(self.folder)))
        process.send_signal(signal.SIGINT)
        self.assertTrue(asked.wait(harness.PATIENCE_S))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("scores")], [])


if __name__ == "__main__":
    harness.main()
