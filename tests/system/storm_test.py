# SPDX-License-Identifier: MIT
"""Many clients that come, go, die and take streams from each other, beside some that must not notice."""
import os
import random
import sys
import unittest

import numpy

import harness
from harness import PREFACE, Daemon, RpcError, SRCDIR, frames_bytes, pack, until

sys.path.insert(0, os.path.join(SRCDIR, "tests", "golden"))
import library  # noqa: E402

N_STEPS = 1500
KINDS = [
    {"method": "exact", "window": 6, "heads": 1, "head_dim": 4},
    {"method": "nystrom", "window": 12, "landmarks": 3, "heads": 2, "head_dim": 8},
    {"method": "nystrom", "window": 15, "landmarks": 4, "heads": 1, "head_dim": 12, "refresh": "spread"},
]


def of_library(loaded, kind):
    """The same attention without the daemon: what the bits have to be."""
    return library.Attention(loaded, kind["heads"], kind["head_dim"], kind["window"], kind.get("landmarks", 0),
                             refresh=kind.get("refresh", "immediate"))


class OfDaemon:
    """The same from a daemon of its own: a library that was built with sanitizers cannot be loaded here."""

    def __init__(self, client, kind):
        self.client, self.opened, self.number = client, client.open(attention=kind), 0

    def run(self, frames):
        data = frames.reshape(len(frames), -1)
        self.client.push(self.opened["stream"], self.number, data)
        outputs = self.client.outputs(len(data))
        rows = numpy.array([outputs[self.number + i] for i in range(len(data))])
        self.number += len(data)
        return rows

    def start(self, _):
        self.client.request("reset", stream=self.opened["stream"])

    def close(self):
        self.client.request("close", stream=self.opened["stream"])


class Bystanders:
    """Eight streams on two connections whose every output is compared with what it has to be."""

    def __init__(self, daemon, reference):
        self.clients = [daemon.client() for _ in range(2)]
        self.streams = []
        for index in range(8):
            kind, client = KINDS[index % len(KINDS)], self.clients[index % 2]
            self.streams.append((client, client.open(attention=kind), reference(kind)))
        self.random, self.number = numpy.random.default_rng(1), 0

    def step(self, count=2):
        expected = {}
        for client, opened, attention in self.streams:
            data = self.random.standard_normal((count, opened["input_dim"])).astype("<f4")
            client.push(opened["stream"], self.number, data)
            expected[opened["stream"]] = attention.run(data.reshape(count, 3, -1)).reshape(count, -1)
        for client in self.clients:
            for _ in range(count * len(self.streams) // 2):
                method, params = client.notification()
                assert method == "output", params
                row = expected[params[0]][params[1] - self.number]
                assert params[2] == row.tobytes(), f"frame {params[1]} of a bystander's stream has other bits"
        self.number += count

    def close(self):
        for client, opened, _ in self.streams:
            client.request("close", stream=opened["stream"])
        for client in self.clients:
            client.socket.close()


class Stormy:
    """A stream of the storm: who holds it, and what it has to answer."""

    def __init__(self, client, opened, kind, attention):
        self.client, self.opened, self.kind, self.attention = client, opened, kind, attention
        self.stream, self.number = opened["stream"], 0


class Storm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if harness.SANITIZERS:
            daemon = cls.enterClassContext(Daemon())
            client = cls.enterClassContext(daemon.client())
            cls.reference = staticmethod(lambda kind: OfDaemon(client, kind))
        else:
            loaded = library.load()
            cls.reference = staticmethod(lambda kind: of_library(loaded, kind))

    def setUp(self):
        self.daemon = Daemon("--shards", "2", config="[timeouts]\npark_ms = 86400000\n")
        self.daemon.__enter__()
        self.bystanders = Bystanders(self.daemon, self.reference)
        self.bystanders.step()
        self.looker = self.bystanders.clients[0]
        self.descriptors, self.before = self.daemon.descriptors(), self.looker.request("stats")

    def tearDown(self):
        self.bystanders.step()
        self.daemon.reload("[timeouts]\npark_ms = 1\n")
        until(lambda: self.looker.request("stats")["streams"] == 8, "only the bystanders' streams are left")
        until(lambda: self.daemon.descriptors() <= self.descriptors, "no descriptor is left behind")
        stats = self.looker.request("stats")
        self.assertEqual(stats["opened"] - stats["closed"], 8)
        self.assertEqual(stats["state_bytes"], self.before["state_bytes"])
        self.assertEqual(stats["frames"], stats["outputs"] + stats["refused"] + stats["dropped"] + stats["skipped"])
        self.bystanders.close()
        self.assertEqual(self.daemon.client().request("stats")["state_bytes"], 0)
        self.daemon.__exit__()

    def test_clients_killed_at_every_message_and_in_the_midst_of_each(self):
        attention = KINDS[1]
        data = numpy.random.default_rng(2).standard_normal((5, 48)).astype("<f4")
        with self.daemon.client() as client:
            next_stream = client.open(attention=attention)["stream"] + 1
            client.request("close", stream=next_stream - 1)
        # The daemon numbers streams one after the other: each run opens one, and two more further on.
        def session(stream):
            return [
                PREFACE, pack([0, 1, "hello", {"client": "t", "versions": [1]}]),
                pack([0, 2, "open", {"attention": attention, "name": f"s{stream}"}]),
                pack([2, "push", [stream, 0, frames_bytes(data)]]),
                pack([0, 3, "finish", {"stream": stream}]), pack([2, "push", [stream, 5, frames_bytes(data)]]),
                pack([0, 4, "reset", {"stream": stream}]),
                pack([0, 5, "attach", {"stream": stream, "token": bytes(16)}]),
                pack([2, "push", [stream, 11, frames_bytes(data)]]), pack([0, 6, "info", {"stream": stream}]),
                pack([0, 7, "close", {"stream": stream}]),
            ]
        for shutdown in (False, True):
            for index in range(len(session(0)) + 1):
                for half in (0, 1):
                    parts = session(next_stream)
                    cut = b"".join(parts[:index])
                    cut += parts[index][:len(parts[index]) // 2] if half and index < len(parts) else b""
                    client = self.daemon.client(hello=False)
                    client.send(cut)
                    if shutdown:
                        client.socket.shutdown(1)
                        while client.read() is not None:
                            pass
                    client.socket.close()
                    self.bystanders.step(1)
                    until(lambda: self.daemon.descriptors() <= self.descriptors, "the client's descriptor is closed")
                    next_stream += index > 2

    def expect(self, stormy, first, data):
        """The answers to frames that were pushed have the right bits."""
        expected = stormy.attention.run(data.reshape(len(data), 3, -1)).reshape(len(data), -1)
        self.check(stormy, first, expected)

    def check(self, stormy, first, expected):
        for index, row in enumerate(expected):
            while True:
                method, params = stormy.client.notification()
                if method == "output" and params[0] == stormy.stream and params[1] >= first:
                    break
                if method != "output":      # one of a stream that was taken from this client meanwhile
                    self.assertEqual(method, "event", params)
                    self.assertIn(params["event"], ("superseded", "ended", "reset"))
            self.assertEqual((params[1], params[2]), (first + index, row.tobytes()))

    def frames(self, stormy):
        return self.numbers.standard_normal((self.random.randint(1, 8), stormy.opened["input_dim"])).astype("<f4")

    def open(self, streams, clients):
        kind, client = self.random.choice(KINDS), self.random.choice(clients)
        streams.append(Stormy(client, client.open(attention=kind), kind, self.reference(kind)))

    def push(self, stormy):
        data = self.frames(stormy)
        stormy.client.push(stormy.stream, stormy.number, data)
        self.expect(stormy, stormy.number, data)
        stormy.number += len(data)

    def reset(self, stormy, clients):
        by = self.random.choice(clients)
        self.assertEqual(by.request("reset", stream=stormy.stream), {"next_frame": stormy.number, "position": 0})
        if by is not stormy.client:
            while True:
                method, params = stormy.client.notification()
                if method == "event" and params["event"] == "reset":
                    break
        stormy.attention.start(0)

    def attach(self, stormy, clients):
        """Takes it over while frames wait; what the old holder was told or not, the new one can ask for again."""
        by, data = self.random.choice(clients), self.frames(stormy)
        expected = stormy.attention.run(data.reshape(len(data), 3, -1)).reshape(len(data), -1)
        old = stormy.client
        old.push(stormy.stream, stormy.number, data)
        old.request("ping")
        attached = by.request("attach", stream=stormy.stream, token=stormy.opened["token"])
        self.assertEqual(attached["next_frame"], stormy.number + len(data))
        if by is not old:
            old.notifications = [kept for kept in old.notifications if kept[1] != "output" or kept[2][0] != stormy.stream]
        by.notifications = [kept for kept in by.notifications if kept[1] != "output" or kept[2][0] != stormy.stream]
        stormy.client = by
        by.push(stormy.stream, stormy.number, numpy.zeros_like(data))
        self.check(stormy, stormy.number, expected)
        stormy.number += len(data)

    def break_off(self, streams, clients):
        """A client dies with frames on their way; its streams are attached by the others."""
        dying = self.random.choice(clients)
        for stormy in [stormy for stormy in streams if stormy.client is dying]:
            data = self.frames(stormy)
            stormy.pushed = data
            dying.push(stormy.stream, stormy.number, data)
        dying.socket.close()
        clients[clients.index(dying)] = self.daemon.client()
        for stormy in [stormy for stormy in streams if stormy.client is dying]:
            by = self.random.choice(clients)
            attached = by.request("attach", stream=stormy.stream, token=stormy.opened["token"])
            taken = attached["next_frame"] - stormy.number
            self.assertIn(taken, (0, len(stormy.pushed)))
            stormy.client = by
            if taken:
                by.push(stormy.stream, stormy.number, numpy.zeros_like(stormy.pushed))
                self.expect(stormy, stormy.number, stormy.pushed)
                stormy.number += taken

    def end(self, streams, clients, method):
        stormy = streams.pop(self.random.randrange(len(streams)))
        counts = self.random.choice(clients).request(method, stream=stormy.stream)
        self.assertEqual((counts["frames"], counts["outputs"]), (stormy.number, stormy.number))
        stormy.attention.close()

    def test_opens_pushes_resets_attaches_kills_and_broken_connections(self):
        self.random, self.numbers = random.Random(7), numpy.random.default_rng(7)
        clients, streams = [self.daemon.client() for _ in range(6)], []
        for step in range(N_STEPS):
            move = self.random.choices(("open", "push", "reset", "attach", "break", "close", "kill"),
                                       (3, 12, 3, 4, 0.5, 2, 1))[0]
            if move == "open" or not streams:
                if len(streams) < 40:
                    self.open(streams, clients)
            elif move in ("push", "reset", "attach"):
                stormy = self.random.choice(streams)
                {"push": lambda: self.push(stormy), "reset": lambda: self.reset(stormy, clients),
                 "attach": lambda: self.attach(stormy, clients)}[move]()
            elif move == "break":
                self.break_off(streams, clients)
            else:
                self.end(streams, clients, move)
            if step % 10 == 0:
                self.bystanders.step()
        for stormy in streams:
            stormy.client.request("close", stream=stormy.stream)
        for client in clients:
            client.socket.close()

    def test_a_refused_request_leaves_the_connection_in_order(self):
        with self.daemon.client() as client:
            for _ in range(50):
                for method in ("reset", "close", "info", "finish", "kill"):
                    with self.assertRaises(RpcError):
                        client.request(method, stream=1 << 40)
            self.assertEqual(client.request("ping")["server"], "attnd")


if __name__ == "__main__":
    harness.main()
