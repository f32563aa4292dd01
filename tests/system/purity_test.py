# SPDX-License-Identifier: MIT
"""An output depends on its stream's own frames and on nothing else: not on shards, neighbours, chunks or arrival."""
import os
import random
import unittest

import numpy

import harness
from harness import Daemon, pack

GOLDEN = os.path.join(harness.SRCDIR, "tests", "golden", "encoder")
BUNDLED = os.path.join(harness.SRCDIR, "etc", "models")
NYSTROM = {"method": "nystrom", "window": 24, "landmarks": 5, "heads": 2, "head_dim": 8}
LANDMARKS = [harness.frames_bytes(numpy.random.default_rng(50 + i).normal(size=(2, 5, 8))) for i in range(2)]
FIXED = {**NYSTROM, "landmark_policy": "fixed", "q_landmarks": LANDMARKS[0], "k_landmarks": LANDMARKS[1]}
# Each of another kind. An attention has a plan of its own; the streams of a model are computed together.
KINDS = [{"attention": attention} for attention in (
    NYSTROM,
    {**NYSTROM, "refresh": "spread"},
    {**NYSTROM, "retroactive": True},
    {**NYSTROM, "refresh": "spread", "inverse_scale": "heads", "retroactive": True},
    {**FIXED, "refresh": "spread"},
    {**FIXED, "inverse_scale": "heads", "retroactive": True},
    {"method": "exact", "window": 24, "heads": 2, "head_dim": 8, "retroactive": True},
)] + [{"model": "nystrom-2"}, {"model": "spread-3", "output": "logits"}, {"model": "retro-spread", "output": "embedding"},
      {"model": "sounds"}]
N_KINDS = len(KINDS)
N_FRAMES = 200


def kind_of(stream):
    """One of each first, then they take turns with the last, of which there are so enough to wait for each other."""
    return KINDS[stream % N_KINDS if stream < N_KINDS or stream % 2 else N_KINDS - 1]


def start(shards):
    return Daemon("--shards", str(shards), "--models", GOLDEN, "--models", BUNDLED)


def frames_of(stream, opened):
    return numpy.random.default_rng(100 + stream).normal(size=(N_FRAMES, opened["input_dim"])).astype("<f4")


def alone(stream, shards, chunk):
    with start(shards) as daemon, daemon.client() as client:
        opened = client.open(**kind_of(stream))
        chunk, answers = min(chunk, opened["credit"]), {}
        for first in range(0, N_FRAMES, chunk):
            client.push(opened["stream"], first, frames_of(stream, opened)[first:first + chunk])
            answers.update(client.outputs(min(chunk, N_FRAMES - first)))
        return [answers[i].tobytes() for i in range(N_FRAMES)]


class Others:
    """All streams at once over a few connections, in chunks of random sizes that arrive shuffled."""

    def __init__(self, daemon, n_streams, n_clients, seed):
        self.order, self.n_streams = random.Random(seed), n_streams
        self.clients = [daemon.client() for _ in range(n_clients)]
        self.holders = [self.clients[i % n_clients] for i in range(n_streams)]
        self.opened = [self.holders[i].open(**kind_of(i)) for i in range(n_streams)]
        self.frames = [frames_of(i, opened) for i, opened in enumerate(self.opened)]
        self.index = {opened["stream"]: i for i, opened in enumerate(self.opened)}
        self.pushed, self.settled = [0] * n_streams, [0] * n_streams
        self.answers = [{} for _ in range(n_streams)]

    def push(self, i):
        room = self.opened[i]["credit"] - (self.pushed[i] - self.settled[i])
        size = min(self.order.randint(0, 20), room, N_FRAMES - self.pushed[i])
        if size > 0:
            data = self.frames[i][self.pushed[i]:self.pushed[i] + size].tobytes()
            self.holders[i].send(pack([2, "push", [self.opened[i]["stream"], self.pushed[i], data]]))
            self.pushed[i] += size

    def is_behind(self, i):
        waiting = self.pushed[i] - self.settled[i]
        return waiting > self.opened[i]["credit"] // 2 or (self.pushed[i] == N_FRAMES and waiting > 0)

    def take(self, client):
        method, params = client.notification()
        assert method == "output", params
        i, width = self.index[params[0]], 4 * self.opened[self.index[params[0]]]["output_dim"]
        for k in range(len(params[2]) // width):
            self.answers[i][params[1] + k] = params[2][width * k:width * (k + 1)]
        self.settled[i] += len(params[2]) // width

    def run(self):
        """The bits of the first stream of each kind."""
        while min(self.settled) < N_FRAMES:
            for i in self.order.sample(range(self.n_streams), self.n_streams):
                self.push(i)
            for client in self.clients:
                while any(self.is_behind(i) for i in range(self.n_streams) if self.holders[i] is client):
                    self.take(client)
        for client in self.clients:
            client.socket.close()
        return [[self.answers[i][t] for t in range(N_FRAMES)] for i in range(N_KINDS)]


class Purity(unittest.TestCase):
    def test_alone_and_among_63_others_on_one_shard_and_on_two(self):
        expected = [alone(i, 1, 1) for i in range(N_KINDS)]
        for i, bits in enumerate(expected):
            self.assertEqual(len(set(bits)), N_FRAMES)
            self.assertTrue(alone(i, 1, 64) == bits, f"in large chunks: {KINDS[i]}")
            self.assertTrue(alone(i, 2, 7) == bits, f"on two shards: {KINDS[i]}")
        for shards in (1, 2):
            for seed in (1, 2):
                with start(shards) as daemon:
                    among = Others(daemon, 64, 4, seed).run()
                for i, bits in enumerate(expected):
                    self.assertTrue(among[i] == bits, f"{shards} shards, seed {seed}: {KINDS[i]}")

    def test_nothing_of_a_stream_that_ended_is_left_for_the_next(self):
        for i, kind in enumerate(KINDS):
            expected = alone(i, 1, 10)
            with start(1) as daemon:
                for seed in range(5):
                    with daemon.client() as client:
                        opened = client.open(**kind)
                        client.push(opened["stream"], 0, frames_of(seed + 20, opened)[:60])
                with daemon.client() as client:
                    opened = client.open(**kind)
                    client.push(opened["stream"], 0, frames_of(i, opened)[:60])
                    answers = client.outputs(60)
            self.assertEqual([answers[t].tobytes() for t in range(60)], expected[:60])


if __name__ == "__main__":
    harness.main()
