# SPDX-License-Identifier: MIT
"""A daemon on a socket of its own, and a client that speaks the raw protocol: what the system tests are written in."""
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
ATTND = os.path.join(BUILDDIR, "attnd")
ATTNCTL = os.path.join(BUILDDIR, "attnctl")
SANITIZERS = os.environ.get("ATTN_SANITIZERS") == "yes"
PREFACE = b"ATTN\x01\x00"
PATIENCE_S = 30     # how long anything may take before a test gives up; no test asserts a time

# What is started under nohup, or in the background of a script, begins with these ignored, and so would all that it starts.
for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, signal.SIG_DFL)


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
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config)
        self.log_path = os.path.join(self.folder, "log")
        command = [*wrapper, ATTND, "--config", self.config, "--socket", self.socket, *arguments]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})})
        self.pid = self.process.pid

    def __enter__(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"attnd ended with {self.process.returncode} at its start:\n{self.log()}")
            try:
                socket_connect(self.socket).close()
                return self
            except OSError:
                time.sleep(0.01)
        raise AssertionError(f"attnd did not listen:\n{self.log()}")

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

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def client(self, hello=True):
        return Client(self.socket, hello)


def socket_connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_S)
    connection.connect(path)
    return connection


def pack(message):
    body = msgpack.packb(message)
    return struct.pack(">I", len(body)) + body


def frames_bytes(frames):
    return numpy.ascontiguousarray(frames, dtype="<f4").tobytes()


class Client:
    """One connection. Notifications are kept in the order in which they came until they are asked for."""

    def __init__(self, path, hello=True):
        self.socket = socket_connect(path)
        self.received = b""
        self.notifications = []
        self.last_id = 0
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
            if len(self.received) >= 4:
                length = struct.unpack(">I", self.received[:4])[0]
                if len(self.received) >= 4 + length:
                    body, self.received = self.received[4:4 + length], self.received[4 + length:]
                    return msgpack.unpackb(body, strict_map_key=False)
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.received += data

    def ask(self, method, **params):
        """Sends a request without waiting; returns its id."""
        self.last_id += 1
        self.send(pack([0, self.last_id, method, params]))
        return self.last_id

    def answer(self, number):
        """The result of request `number`; raises RpcError. What comes before it is kept."""
        while True:
            message = self.read()
            if message is None:
                raise EOFError("the daemon closed the connection")
            if message[0] == 1 and message[1] == number:
                if message[2] is not None:
                    raise RpcError(message[2])
                return message[3]
            assert message[0] == 2, f"an answer that nobody asked for: {message}"
            self.notifications.append(message)

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
        if self.notifications:
            message = self.notifications.pop(0)
        else:
            message = self.read()
            if message is None:
                return None
            assert message[0] == 2, f"an answer that nobody asked for: {message}"
        return message[1], message[2]

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
