# SPDX-License-Identifier: MIT
"""An output depends on its stream's own frames and on nothing else: not on shards, neighbours, chunks or arrival.

What the library does with each option is for tests/unit/lib/test_purity.c to show, on every variant of its kernels. Here is what
the daemon adds: batches of whatever arrives, outputs that wait, memory that was another stream's."""
import os
import random
import tempfile
import unittest

import numpy

import harness
from harness import Daemon, pack, until

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
MODELS = [f"{GOLDEN}/{name}.safetensors" for name in ("nystrom-2", "spread-3", "retro-spread")] + [f"{BUNDLED}/sounds.safetensors"]
N_KINDS = len(KINDS)
N_STREAMS = 64
N_FRAMES = 200      # twice all that any of these streams remembers, and more
N_SERIES = 2        # of frames for each kind
N_BEGINNING = 60


class Series:
    """Frames of one kind, and the bits of their outputs: those of a stream that is alone in its daemon, and has each frame
    answered before the next is sent."""

    def __init__(self, daemon, kind, seed):
        self.kind, self.outputs = kind, []
        with daemon.client() as client:
            opened = client.open(**kind)
            frames = numpy.random.default_rng(100 + seed).normal(size=(N_FRAMES, opened["input_dim"]))
            self.frames, self.frame_bytes = harness.frames_bytes(frames), 4 * opened["input_dim"]
            for number in range(N_FRAMES):
                client.send(self.push(opened["stream"], number, 1))
                method, params = client.notification()
                assert (method, params[1]) == ("output", number), (method, params)
                self.outputs.append(params[2])
            client.request("close", stream=opened["stream"])

    def push(self, stream, first, count):
        """The message that pushes so many of them."""
        return pack([2, "push", [stream, first, self.frames[self.frame_bytes * first:self.frame_bytes * (first + count)]]])


class Stream:
    """An open stream that is given a series."""

    def __init__(self, client, series):
        self.client, self.series, self.opened = client, series, client.open(**series.kind)
        self.number, self.pushed, self.settled = self.opened["stream"], 0, 0

    def push(self, count):
        count = min(count, self.opened["credit"] - (self.pushed - self.settled), N_FRAMES - self.pushed)
        if count > 0:
            self.client.send(self.series.push(self.number, self.pushed, count))
            self.pushed += count

    def is_behind(self):
        waiting = self.pushed - self.settled
        return waiting > self.opened["credit"] // 2 or (self.pushed == N_FRAMES and waiting > 0)

    def take(self, first, outputs):
        """Compares outputs from `first` on, as a message has them."""
        width = 4 * self.opened["output_dim"]
        for at in range(0, len(outputs), width):
            assert (first, self.settled) == (self.settled, first), f"frame {first} in place of {self.settled}"
            assert outputs[at:at + width] == self.series.outputs[first], f"frame {first} has other bits: {self.series.kind}"
            first += 1
            self.settled += 1


def take(client, streams):
    """Compares what the next message has; `streams` are {number: stream}."""
    method, params = client.notification()
    assert method == "output", params
    streams[params[0]].take(params[1], params[2])


class Purity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        models = cls.enterClassContext(tempfile.TemporaryDirectory())
        for path in MODELS:
            os.symlink(path, os.path.join(models, os.path.basename(path)))
        # A stream ends with its connection, so that its memory is the next one's.
        cls.one, cls.two = (cls.enterClassContext(Daemon("--shards", shards, "--models", models, config="[timeouts]\npark_ms = 0\n"))
                            for shards in ("1", "2"))
        cls.series = [Series(cls.one, KINDS[i % N_KINDS], i) for i in range(N_SERIES * N_KINDS)]

    def alone(self, daemon, series, chunk, n_frames=N_FRAMES):
        with daemon.client() as client:
            stream = Stream(client, series)
            while stream.settled < n_frames:
                stream.push(min(chunk, n_frames - stream.pushed))
                take(client, {stream.number: stream})
            client.request("close", stream=stream.number)

    def test_no_two_outputs_are_the_same(self):
        """Else all that is compared here would say little."""
        for series in self.series:
            self.assertEqual(len(set(series.outputs)), N_FRAMES, series.kind)

    def test_alone_in_other_chunks_and_beside_an_idle_shard(self):
        for series in reversed(self.series[:N_KINDS]):
            self.alone(self.one, series, 64)
            self.alone(self.two, series, 7)

    def among_others(self, daemon, seed):
        """All streams at once over a few connections, in chunks of random sizes that arrive shuffled: of each kind the same
        frames now and then, but not at the same time."""
        order = random.Random(seed)
        clients = [daemon.client() for _ in range(4)]
        # One of each kind, then they take turns with the last, of which there are so enough to wait for each other.
        series = [i if i < N_KINDS or i % 2 else N_KINDS * (i // 2 % N_SERIES + 1) - 1 for i in range(N_STREAMS)]
        streams = [Stream(clients[i % len(clients)], self.series[k % len(self.series)]) for i, k in enumerate(series)]
        by_number = {stream.number: stream for stream in streams}
        before = clients[0].request("stats")
        with daemon.stopped():      # so that at first they do wait for each other
            for stream in order.sample(streams, N_STREAMS):
                stream.push(1)
        while any(stream.settled < N_FRAMES for stream in streams):
            for stream in order.sample(streams, N_STREAMS):
                stream.push(order.randint(0, 20))
            for client in clients:
                while any(stream.is_behind() for stream in streams if stream.client is client):
                    take(client, by_number)
        after = clients[0].request("stats")
        self.assertLess(after["batches"] - before["batches"], after["outputs"] - before["outputs"], "none were computed together")
        for client in clients:
            client.socket.close()

    def test_among_many_others_on_one_shard(self):
        for seed in (1, 2):
            self.among_others(self.one, seed)

    def test_among_many_others_on_two_shards(self):
        for seed in (3, 4):
            self.among_others(self.two, seed)

    def test_nothing_of_a_stream_that_ended_is_left_for_the_next(self):
        with self.one.client() as looking:
            for series, other in zip(self.series, self.series[N_KINDS:]):
                with self.one.client() as client:
                    for _ in range(5):
                        stream = Stream(client, other)
                        stream.push(N_BEGINNING)
                        client.request("finish", stream=stream.number)
                until(lambda: looking.request("stats")["streams"] == 0)
                self.alone(self.one, series, 10, N_BEGINNING)


if __name__ == "__main__":
    harness.main()
