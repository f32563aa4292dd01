# SPDX-License-Identifier: MIT
"""The daemon under a service manager: a socket that is passed, and what is told. The manager here is this test."""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import numpy

import harness
from harness import ATTND, BUILDDIR, PATIENCE_S


def speaks_to_systemd():
    with open(os.path.join(BUILDDIR, "config.h"), encoding="utf-8") as file:
        return "#define HAVE_SYSTEMD 1" in file.read()


@unittest.skipUnless(speaks_to_systemd(), "built without libsystemd")
class Service(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="attnd-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.notify = self.unix_socket("notify", socket.SOCK_DGRAM)

    def unix_socket(self, name, kind):
        result = socket.socket(socket.AF_UNIX, kind)
        result.bind(os.path.join(self.folder, name))
        result.settimeout(PATIENCE_S)
        self.addCleanup(result.close)
        return result

    def start(self, descriptors=(), config="/dev/null", **environment):
        """As a manager does: the descriptors from 3 on, and LISTEN_PID that of the process."""
        moves = " ".join(f"{3 + i}<&{fd.fileno()}" for i, fd in enumerate(descriptors))
        listen = f"LISTEN_FDS={len(descriptors)} LISTEN_PID=$$ " if descriptors else ""
        script = f'exec {moves}; {listen} exec "$0" --config "$2" --socket "$1"'
        process = subprocess.Popen(["sh", "-c", script, ATTND, os.path.join(self.folder, "own.sock"), config],
                                   pass_fds=[fd.fileno() for fd in descriptors], stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "NOTIFY_SOCKET": os.path.join(self.folder, "notify"), **environment})
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def told(self, what):
        """Reads until this line is told; returns all that was told with it."""
        return self.told_where(lambda line: line == what, what)

    def told_beginning(self, what):
        return self.told_where(lambda line: line.startswith(what), what)

    def told_where(self, is_it, what):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            message = self.notify.recv(4096).decode()
            if any(is_it(line) for line in message.splitlines()):
                return message
        self.fail(f"{what} was not told")

    def test_ready_comes_when_it_serves_and_stopping_before_it_ends(self):
        process = self.start()
        self.assertIn("STATUS=serving 0 models", self.told("READY=1"))
        harness.Client(os.path.join(self.folder, "own.sock")).socket.close()
        process.terminate()
        self.told("STOPPING=1")
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_a_reload_is_told_from_its_begin_to_its_end(self):
        config = os.path.join(self.folder, "attnd.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[limits]\nstreams = 5\n")
        process = self.start(config=config)
        self.told("READY=1")
        for text, status in (("[limits]\nstreams = 6\n", "STATUS=serving 0 models"),
                             ("[limits]\nstreams = x\n", "STATUS=the last reload failed: the old configuration stays"),
                             ("[limits]\nstreams = 7\n", "STATUS=serving 0 models")):
            with open(config, "w", encoding="utf-8") as file:
                file.write(text)
            before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            process.send_signal(signal.SIGHUP)
            lines = dict(line.split("=", 1) for line in self.told("RELOADING=1").splitlines())
            self.assertLessEqual(before_us, int(lines["MONOTONIC_USEC"]))
            self.assertLessEqual(int(lines["MONOTONIC_USEC"]), time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
            self.assertIn(status, self.told("READY=1"))
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_the_status_goes_on_to_tell_of_a_reload_that_failed(self):
        config = os.path.join(self.folder, "attnd.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("")
        process = self.start(config=config)
        self.told("READY=1")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[limits]\nstreams = x\n")
        process.send_signal(signal.SIGHUP)
        self.told("READY=1")
        self.assertIn("the last reload failed", self.told_beginning("STATUS=0 streams"))
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_the_status_tells_of_the_last_interval(self):
        process = self.start()
        self.notify.recv(4096)      # it is ready
        with harness.Client(os.path.join(self.folder, "own.sock")) as client:
            opened = client.open_attention()["stream"]
            client.push(opened, 0, numpy.zeros((40, 6)))
            client.outputs(40)
            # An interval may end between the open and the frames.
            told = self.told_where(re.compile(r"STATUS=1 streams on 1 connections.*; [1-9]\d* frames/s").match, "a rate")
        self.assertRegex(told, r"; [1-9]\d* frames/s, p99 \d+\.\d\d ms; 0 dropped, 0 skipped, 0 late$")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_a_manager_that_does_not_read_holds_nothing_up(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.sendto(b"STATUS=full", os.path.join(self.folder, "notify"))
        process = self.start(WATCHDOG_USEC="200000")
        path = os.path.join(self.folder, "own.sock")
        harness.until(lambda: process.poll() is not None or harness.listens(path))
        with harness.Client(path) as client:
            self.assertEqual(client.request("ping")["server"], "attnd")
        process.send_signal(signal.SIGHUP)
        with harness.Client(path) as client:
            self.assertEqual(client.request("ping")["server"], "attnd")
        self.assertIn("STATUS=serving 0 models", self.told("READY=1"))
        self.told("WATCHDOG=1")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_the_watchdog_is_fed_again_and_again(self):
        process = self.start(WATCHDOG_USEC="200000")
        for _ in range(3):
            self.told("WATCHDOG=1")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_a_socket_that_was_passed_is_served_and_stays(self):
        passed = self.unix_socket("passed.sock", socket.SOCK_STREAM)
        passed.listen(16)
        for _ in range(2):      # the manager keeps the socket over a restart
            process = self.start([passed])
            client = harness.Client(os.path.join(self.folder, "passed.sock"))
            self.assertEqual(client.request("ping")["server"], "attnd")
            client.socket.close()
            process.terminate()
            self.assertEqual(process.wait(PATIENCE_S), 0)
            self.assertEqual(sorted(os.listdir(self.folder)), ["notify", "passed.sock"])

    def test_what_is_no_listening_unix_socket_is_refused(self):
        process = self.start([self.unix_socket("datagrams", socket.SOCK_DGRAM)])
        self.assertEqual(process.wait(PATIENCE_S), 1)
        self.assertIn("no listening Unix stream socket", process.stderr.read())


if __name__ == "__main__":
    harness.main()
