# SPDX-License-Identifier: MIT
"""A daemon on a socket of its own, and a client that speaks the raw protocol: what the system tests are written in."""
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import msgpack
import numpy
from tap import TAPTestRunner

SRCDIR = os.environ.get("ATTN_SRCDIR", os.getcwd())
BUILDDIR = os.environ.get("ATTN_BUILDDIR", os.getcwd())
ATTND = os.environ.get("ATTND") or os.path.join(BUILDDIR, "attnd")          # another build, to compare with it
ATTNCTL = os.environ.get("ATTNCTL") or os.path.join(BUILDDIR, "attnctl")
SANITIZERS = os.environ.get("ATTN_SANITIZERS") == "yes"
PREFACE = b"ATTN\x01\x00"
PATIENCE_S = 180    # after so long a test takes something for hung; no test relies on a time that is shorter

# An attention with outputs of 64 KiB and small frames, and a daemon that lets few of its outputs wait. A client that reads
# nothing then holds the frames of its stream back: they wait for as long as a test wants.
WIDE = {"method": "exact", "window": 512, "heads": 1, "head_dim": 32, "retroactive": True}
HOLDING_BACK = "[limits]\nunsent_bytes = 4096\n[timeouts]\nsend_ms = 86400000\n"

# What is started under nohup, or in the background of a script, begins with these ignored, and so would all that it starts.
for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, signal.SIG_DFL)


def until(condition, what="it did not come to that"):
    """Waits until the condition holds, and returns what it gave; `what` may be a function that makes the words."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.01)
    return found


class RpcError(Exception):
    """The error map of a response; error.name is the error's name."""

    def __init__(self, error):
        super().__init__(f"{error.get('name')}: {error.get('message')}")
        self.error = error
        self.name = error.get("name")


class Daemon:
    """attnd in a temporary folder; use it in a `with` statement."""

    def __init__(self, *arguments, config="", environment=None, wrapper=()):
        self.folder = tempfile.mkdtemp(prefix="attnd-test-")
        self.socket = os.path.join(self.folder, "attnd.sock")
        self.config = os.path.join(self.folder, "attnd.conf")
        self.write_config(config)
        self.log_path = os.path.join(self.folder, "log")
        command = [*wrapper, ATTND, "--config", self.config, "--socket", self.socket, *arguments]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})})
        self.pid = self.process.pid

    def write_config(self, config):
        """No stream is refused because this machine or this build is slow, unless the test says so."""
        with open(f"{self.config}.new", "w", encoding="utf-8") as file:
            file.write(config if "frame_ms" in config else config + "\n[limits]\nframe_ms = 60000\n")
        os.rename(f"{self.config}.new", self.config)

    def __enter__(self):
        until(lambda: self.process.poll() is not None or listens(self.socket), lambda: f"attnd does not listen:\n{self.log()}")
        if self.process.poll() is not None:
            raise AssertionError(f"attnd ended with {self.process.returncode} at its start:\n{self.log()}")
        return self

    def __exit__(self, *_):
        try:
            status = self.stop()
            assert status == 0, f"attnd ended with {status}:\n{self.log()}"
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self, number=signal.SIGTERM):
        """Sends a signal, waits for the end, returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return self.process.returncode

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def threads(self):
        """{thread: (its state, how often it was switched)}, in which no thread that has run meanwhile looks the same."""
        found = {}
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                    open(f"/proc/{self.pid}/task/{thread}/status", encoding="utf-8") as file:
                fields = dict(line.split(":", 1) for line in file.read().splitlines() if ":" in line)
                found[thread] = (fields["State"].split()[0], fields["voluntary_ctxt_switches"],
                                 fields["nonvoluntary_ctxt_switches"])
        return found

    def rests(self):
        before = self.threads()
        return all(state == "S" for state, *_ in before.values()) and self.threads() == before

    def settle(self):
        """Waits until it has done all that it can with what was sent to it: no thread has anything left to do. Data that is
        sent wakes the thread that waits for it before the call that sends it returns."""
        until(self.rests, "the daemon never rests")

    @contextlib.contextmanager
    def stopped(self):
        """Meanwhile it stands still: what several clients send, no more than their sockets hold, is all there when it goes on."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            until(lambda: all(state == "T" for state, *_ in self.threads().values()), "the daemon does not stop")
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def reload(self, config=None):
        """Gives it another configuration, or none, and waits until that is in force."""
        done = "the configuration was read again"
        until(lambda: "shards\n" in self.log(), "the daemon does not serve")
        before = self.log().count(done)
        if config is not None:
            self.write_config(config)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log().count(done) > before, lambda: f"no end of a reload:\n{self.log()}")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def client(self, hello=True):
        return Client(self.socket, hello)


def socket_connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_S)
    connection.connect(path)
    return connection


def listens(path):
    try:
        socket_connect(path).close()
        return True
    except (FileNotFoundError, ConnectionRefusedError):
        return False


def pack(message):
    body = msgpack.packb(message)
    return struct.pack(">I", len(body)) + body


def frames_bytes(frames):
    return numpy.ascontiguousarray(frames, dtype="<f4").tobytes()


class Client:
    """One connection. Notifications are kept in the order in which they came until they are asked for."""

    def __init__(self, path, hello=True):
        self.socket = socket_connect(path)
        self.received, self.at = b"", 0     # what came, and where in it the next message begins
        self.notifications = []
        self.last_id = 0
        self.asked = set()          # the requests of `ask` that have no answer yet
        self.answers = {}           # {request: (error, result)} of those that came while another was waited for
        self.output_widths = {}     # {stream: floats in an output}
        if hello:
            self.send(PREFACE)
            self.hello = self.request("hello", client="test", versions=[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next message, or None at the end of the connection."""
        while True:
            begin = self.at + 4
            if len(self.received) >= begin:
                end = begin + int.from_bytes(self.received[self.at:begin], "big")
                if len(self.received) >= end:
                    self.at = end
                    return msgpack.unpackb(self.received[begin:end], strict_map_key=False)
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.received, self.at = self.received[self.at:] + data, 0

    def ask(self, method, **params):
        """Sends a request without waiting; returns its id."""
        self.last_id += 1
        self.asked.add(self.last_id)
        self.send(pack([0, self.last_id, method, params]))
        return self.last_id

    def keep(self, message):
        """What another one than its reader waits for: an answer may come before or after those to other requests."""
        if message[0] == 2:
            self.notifications.append(message)
        else:
            assert message[1] in self.asked, f"an answer that nobody asked for: {message}"
            self.asked.remove(message[1])
            self.answers[message[1]] = message[2:]

    def answer(self, number):
        """The result of request `number`; raises RpcError. What comes before it is kept."""
        self.asked.add(number)
        while number not in self.answers:
            message = self.read()
            if message is None:
                raise EOFError("the daemon closed the connection")
            self.keep(message)
        error, result = self.answers.pop(number)
        if error is not None:
            raise RpcError(error)
        return result

    def request(self, method, **params):
        return self.answer(self.ask(method, **params))

    def open_attention(self, name=None, output=None, **attention):
        """open of a raw attention; exact, window 4, one head of width 2 unless told otherwise."""
        params = {"attention": {"method": "exact", "window": 4, "heads": 1, "head_dim": 2, **attention}}
        if name is not None:
            params["name"] = name
        if output is not None:
            params["output"] = output
        return self.open(**params)

    def open(self, **params):
        result = self.request("open", **params)
        self.output_widths[result["stream"]] = result["output_dim"]
        return result

    def push(self, stream, first, frames, time_value=None):
        """`frames` is an array [k, input_dim] or bytes."""
        data = frames if isinstance(frames, bytes) else frames_bytes(frames)
        params = [stream, first, data] + ([{"time": time_value}] if time_value is not None else [])
        self.send(pack([2, "push", params]))

    def notification(self):
        """The next notification (method, params); None at the end of the connection."""
        while not self.notifications:
            message = self.read()
            if message is None:
                return None
            self.keep(message)
        _, method, params = self.notifications.pop(0)
        return method, params

    def outputs(self, count):
        """The next `count` outputs as {frame number: array}; anything else in between fails the test."""
        answers = {}
        while len(answers) < count:
            received = self.notification()
            assert received is not None, f"the connection ended after {len(answers)} of {count} outputs"
            method, params = received
            assert method == "output", f"{method} in place of an output: {params}"
            width = self.output_widths[params[0]]
            block = numpy.frombuffer(params[2], dtype="<f4").reshape(-1, width)
            for index, row in enumerate(block):
                answers[params[1] + index] = row
        return answers


def main():
    """Runs the tests of the calling file, printing TAP."""
    runner = TAPTestRunner(verbosity=0)
    runner.set_stream(True)
    runner.set_format("{method_name}")
    unittest.main(testRunner=runner, argv=[sys.argv[0]], module="__main__")
