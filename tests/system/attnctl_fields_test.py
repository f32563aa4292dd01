# SPDX-License-Identifier: MIT
"""Each field of each answer missing or of another type, in every command: attnctl shows something sensible, or says in
plain words what is wrong. The answers are a real daemon's, and a scripted one repeats them with one change."""
import contextlib
import copy
import itertools
import os
import socket
import struct
import subprocess
import threading

import msgpack
import numpy

import attnctl_case
import harness
from attnctl_case import sound, write_wav

MISSING = object()
ODD = [None, True, -2**63, 2**64 - 1, 1.5e308, "text", b"\xff\x00", [], [[[1]]], {"version": {"a": [1]}}]


def paths(value, path=()):
    """The place of each field: keys of maps, and the first entry of lists."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*path, key))
    elif isinstance(value, list) and value:
        yield from paths(value[0], (*path, 0))


def changed(value, path, to):
    """A copy with another value at the path."""
    result = copy.deepcopy(value)
    place = result
    for key in path[:-1]:
        place = place[key]
    if to is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return result


class Fake:
    """Answers any number of connections with `answers`, and each frame with an output, between two events."""

    def __init__(self, path):
        self.answers, self.event = {}, None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def reply(self, message):
        if message[0] == 0:
            return harness.pack([1, message[1], None, self.answers.get(message[2], {})])
        stream, first, data = message[2][:3]
        opened = self.answers["open"]
        width, out = (opened.get(key) for key in ("input_dim", "output_dim"))
        n = len(data) // (4 * width)
        output = [2, "output", [stream, first, bytes(4 * n * out), {"position": first, "lag_us": 1, "warming": 0}]]
        return (harness.pack([2, "event", self.event]) if self.event else b"") + harness.pack(output)

    def serve(self, connection):
        connection.settimeout(harness.PATIENCE_S)
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            file.read(len(harness.PREFACE))
            while len(head := file.read(4)) == 4:
                connection.sendall(self.reply(msgpack.unpackb(file.read(struct.unpack(">I", head)[0]))))


class Fields(attnctl_case.Case):
    def setUp(self):
        super().setUp()
        write_wav(self.path("tone.wav"), sound(0.3))
        numpy.save(self.path("in.npy"), numpy.zeros((8, 3, 1, 2), "f4"))
        with harness.Daemon("--models", self.path("models"), "--shards", "2") as daemon, daemon.client() as client:
            opened = client.open(model="tiny", name="kitchen")
            attention = client.open_attention()
            client.push(opened["stream"], 0, numpy.zeros((3, attnctl_case.INPUT_DIM)))
            client.outputs(3)
            with contextlib.suppress(harness.RpcError):
                client.request("open", model="nobody")
            self.answers = {"hello": client.hello, "open": opened, "attention": attention,
                            **{method: client.request(method) for method in ("ping", "models", "streams")},
                            "stats": client.request("stats", detail=True),
                            "info": client.request("info", stream=opened["stream"])}
            for name in ("open", "attention"):
                self.answers[name]["next_frame"] = 0
        self.fake = Fake(self.environment["ATTND_SOCKET"])
        self.addCleanup(self.fake.listener.close)
        self.fake.answers = self.answers
        self.n_runs = 0

    def check(self, command, what, codes=(0, 1)):
        done = subprocess.run([harness.ATTNCTL, *command], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.PATIENCE_S, check=False)
        self.n_runs += 1
        told = f"{' '.join(command)} with {what}: {done.returncode}\n{done.stdout[-300:]}\n{done.stderr[-2000:]}"
        self.assertIn(done.returncode, codes, told)
        lines = done.stderr.decode().splitlines()
        self.assertTrue(all(line.startswith("attnctl: ") and len(line) > len("attnctl: x: ") for line in lines), told)
        self.assertTrue(lines if done.returncode else done.stdout or "-o" in command, told)
        self.assertTrue(all(c == "\n" or c.isprintable() for c in done.stdout.decode()), told)
        return done

    def sweep(self, method, commands, codes=(0, 1), name=None):
        """Each field of the answer to `method`: missing, for all commands; of each odd type, for the commands in turn."""
        name = name or method
        turn = itertools.cycle(commands)
        for path in [(), *paths(self.answers[name])]:
            for to in ([MISSING] if path else []) + ODD:
                answer = changed(self.answers[name], path, to) if path else to
                self.fake.answers = {**self.answers, method: answer}
                what = f"{name}{list(path)} {'missing' if to is MISSING else repr(to)}"
                for command in commands if to is MISSING else [next(turn)]:
                    self.check(command, what, codes)
        self.assertGreater(self.n_runs, len(ODD))

    def test_the_answers_as_they_are_make_no_trouble(self):
        for command in (["ping"], ["models"], ["streams"], ["stats"], ["metrics"], ["info", "1"], ["reset", "1"],
                        ["stream", self.path("tone.wav")], ["top", "-c", "1", "-i", "0.05"],
                        ["bench", "-m", "tiny", "--seconds", "0.02"]):
            self.check(command, "nothing changed", (0,))

    def test_greeting(self):
        self.sweep("hello", [["ping"]], (0, 3))

    def test_ping(self):
        self.sweep("ping", [["ping"]])

    def test_models(self):
        self.sweep("models", [["models"], ["stream", self.path("tone.wav")], ["bench", "--seconds", "0.02"],
                              ["features", self.path("tone.wav"), "/dev/full"]], (0, 1, 2))

    def test_streams(self):
        self.sweep("streams", [["streams"], ["top", "-c", "1", "-i", "0.05"]])

    def test_info(self):
        self.sweep("info", [["info", "1"]])

    def test_stats(self):
        self.sweep("stats", [["stats"], ["metrics"], ["top", "-c", "1", "-i", "0.05"]])

    def test_open_of_a_model(self):
        self.sweep("open", [["stream", self.path("tone.wav")], ["bench", "-m", "tiny", "--seconds", "0.02"]])

    def test_open_of_an_attention(self):
        output = self.path("out.npy")
        self.sweep("open", [["attend", "--window", "4", "-o", output, self.path("in.npy")]], (0, 1), "attention")

    def test_events(self):
        turn = itertools.cycle((["stream", self.path("tone.wav")], ["bench", "-m", "tiny", "--seconds", "0.02"]))
        for event in ({"stream": 1, "event": "idle", "expires_ms": 1000}, {"stream": 1, "event": "reset", "next_frame": 3},
                      {"event": "drain", "deadline_ms": 1000}, {"stream": 1, "event": "ended", "reason": "killed"},
                      {"stream": 1, "event": "dropped", "reason": "late", "first": 0, "count": 1}):
            for path, to in itertools.product(paths(event), [MISSING, *ODD]):
                self.fake.event = changed(event, path, to)
                self.check(next(turn), f"event {self.fake.event}")

    def test_metrics_without_a_version_are_metrics(self):
        self.fake.answers = {**self.answers, "stats": changed(self.answers["stats"], ("version",), MISSING)}
        out = self.check(["metrics"], "no version", (0,)).stdout.decode()
        self.assertIn('attnd_info{version="unknown"} 1\n', out)

    def test_what_is_missing_is_named(self):
        for method, path, command, words in (("open", ("credit",), ["stream", self.path("tone.wav")], "has no credit"),
                                             ("models", ("models",), ["models"], "has no list of models"),
                                             ("streams", ("streams",), ["streams"], "has no list of streams"),
                                             ("models", ("models", 0, "input_dim"), ["stream", self.path("tone.wav")], "no input_dim of 'tiny'"),
                                             ("hello", ("server",), ["ping"], "(server)")):
            self.fake.answers = {**self.answers, method: changed(self.answers[method], path, MISSING)}
            self.assertIn(words, self.check(command, words, (1, 3)).stderr.decode())


if __name__ == "__main__":
    harness.main()
