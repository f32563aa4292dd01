# SPDX-License-Identifier: MIT
"""An output depends on its stream's own frames and on nothing else: not on shards, neighbours, chunks or arrival."""
import os
import random
import unittest

import numpy

import harness
from harness import SRCDIR, Daemon, pack

# What is opened: each attention has a plan of its own, and the streams of a model are computed together.
ATTENTION = {"attention": {"method": "nystrom", "window": 24, "landmarks": 5, "heads": 2, "head_dim": 8}}
SPREAD = {"attention": dict(ATTENTION["attention"], refresh="spread", retroactive=True)}
MODEL = {"model": "sounds"}
MODELS = os.path.join(SRCDIR, "etc", "models")
N_FRAMES = 200


def frames_of(stream, width):
    return numpy.random.default_rng(100 + stream).normal(size=(N_FRAMES, width)).astype("<f4")


def alone(what, shards, chunk):
    with Daemon("--shards", str(shards), "--models", MODELS) as daemon, daemon.client() as client:
        opened = client.open(**what)
        frames, chunk, answers = frames_of(0, opened["input_dim"]), min(chunk, opened["credit"]), {}
        for first in range(0, N_FRAMES, chunk):
            client.push(opened["stream"], first, frames[first:first + chunk])
            answers.update(client.outputs(min(chunk, N_FRAMES - first)))
        return [answers[i].tobytes() for i in range(N_FRAMES)]


def among_others(what, shards, n_streams, n_clients, seed):
    """All streams at once over a few connections, in chunks of random sizes that arrive shuffled; stream 0's bits."""
    order = random.Random(seed)
    with Daemon("--shards", str(shards), "--models", MODELS) as daemon:
        clients = [daemon.client() for _ in range(n_clients)]
        holders = [clients[i % n_clients] for i in range(n_streams)]
        described = [holders[i].open(**what) for i in range(n_streams)]
        opened = [stream["stream"] for stream in described]
        width, credit, n_bytes = described[0]["input_dim"], described[0]["credit"], 4 * described[0]["output_dim"]
        frames = [frames_of(i, width) for i in range(n_streams)]
        pushed, settled, answers = [0] * n_streams, [0] * n_streams, {}
        while min(settled) < N_FRAMES:
            for i in order.sample(range(n_streams), n_streams):
                size = min(order.randint(0, 20), credit - (pushed[i] - settled[i]), N_FRAMES - pushed[i])
                if size > 0:
                    data = harness.frames_bytes(frames[i][pushed[i]:pushed[i] + size])
                    holders[i].send(pack([2, "push", [opened[i], pushed[i], data]]))
                    pushed[i] += size
            for client in clients:
                while any(pushed[i] - settled[i] > credit // 2 or (pushed[i] == N_FRAMES and settled[i] < N_FRAMES)
                          for i in range(n_streams) if holders[i] is client):
                    method, params = client.notification()
                    assert method == "output", params
                    index = opened.index(params[0])
                    settled[index] += len(params[2]) // n_bytes
                    if index == 0:
                        for k in range(len(params[2]) // n_bytes):
                            answers[params[1] + k] = params[2][n_bytes * k:n_bytes * (k + 1)]
        for client in clients:
            client.socket.close()
        return [answers[i] for i in range(N_FRAMES)]


class Purity(unittest.TestCase):
    def same_alone_and_among_31_others(self, what):
        expected = alone(what, 1, 1)
        self.assertEqual(len(set(expected)), N_FRAMES)
        self.assertTrue(alone(what, 1, 64) == expected, "in large chunks")
        self.assertTrue(alone(what, 2, 7) == expected, "on two shards")
        for shards in (1, 2):
            for seed in (1, 2):
                self.assertTrue(among_others(what, shards, 32, 4, seed) == expected, f"{shards} shards, seed {seed}")

    def test_an_attention_alone_and_among_31_others_on_one_shard_and_on_two(self):
        self.same_alone_and_among_31_others(ATTENTION)

    def test_a_retroactive_attention_alone_and_among_31_others_on_one_shard_and_on_two(self):
        self.same_alone_and_among_31_others(SPREAD)

    def test_a_model_alone_and_among_31_others_on_one_shard_and_on_two(self):
        self.same_alone_and_among_31_others(MODEL)

    def test_nothing_of_a_stream_that_ended_is_left_for_the_next(self):
        expected = alone(ATTENTION, 1, 10)
        with Daemon("--shards", "1") as daemon:
            for seed in range(5):
                with daemon.client() as client:
                    stream = client.open(**ATTENTION)["stream"]
                    client.push(stream, 0, frames_of(seed + 1, 48)[:60])
            with daemon.client() as client:
                stream = client.open(**ATTENTION)["stream"]
                client.push(stream, 0, frames_of(0, 48)[:60])
                answers = client.outputs(60)
        self.assertEqual([answers[i].tobytes() for i in range(60)], expected[:60])


if __name__ == "__main__":
    harness.main()
