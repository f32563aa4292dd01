# SPDX-License-Identifier: MIT
"""From push to output, and idle, the daemon allocates nothing: counted in the whole process, libraries included."""
import glob
import mmap
import os
import struct
import tempfile
import unittest

import numpy

import harness
from harness import BUILDDIR, Daemon, until

LIBRARY = os.path.join(BUILDDIR, "tests", "system", ".libs", "libcountalloc.so")


@unittest.skipIf(harness.SANITIZERS, "sanitizers have an allocator of their own")
@unittest.skipUnless(os.path.exists(LIBRARY) and glob.glob("/lib*/ld-linux*"), "the counting allocator needs glibc")
class Allocation(unittest.TestCase):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(bytes(8))
        self.file.flush()
        self.map = mmap.mmap(self.file.fileno(), 8)
        self.addCleanup(self.file.close)
        self.daemon = Daemon("--shards", "2", environment={"LD_PRELOAD": LIBRARY, "COUNTALLOC_FILE": self.file.name})

    def count(self):
        return struct.unpack("<Q", self.map[:8])[0]

    def stream_frames(self, client, streams, first, count, split):
        data = numpy.random.default_rng(3).normal(size=(count, streams[0]["input_dim"])).astype("<f4")
        data[count // 2, 0] = numpy.nan     # a refusal is an answer, too
        for low in range(0, count, 10):
            for opened in streams:
                message = harness.pack([2, "push", [opened["stream"], first + low, data[low:low + 10].tobytes()]])
                if split:
                    client.send(message[:len(message) // 2])
                    client.send(message[len(message) // 2:])
                else:
                    client.send(message)
            for _ in range(10 * len(streams)):
                client.notification()

    def test_a_thousand_frames_of_each_of_eight_streams_allocate_nothing(self):
        with self.daemon as daemon, daemon.client() as client, daemon.client() as other:
            before = self.count()
            attention = {"method": "nystrom", "window": 32, "landmarks": 4, "heads": 2, "head_dim": 16}
            streams = [client.open(attention=attention) for _ in range(8)]
            self.assertGreater(self.count(), before, "the counter does not count")
            # Each shard has one of the two, and has so taken up every connection that came before (Daemon makes one).
            shards = {c.request("info", stream=c.open_attention()["stream"])["shard"] for c in (client, other)}
            self.assertEqual(shards, {0, 1})
            for split in (False, True):
                self.stream_frames(client, streams, 0 if not split else 1200, 200, split)
                before = self.count()
                self.stream_frames(client, streams, 200 if not split else 1400, 1000, split)
                self.assertEqual(self.count() - before, 0, "pushes were split" if split else "pushes came whole")

    def test_large_outputs_that_wait_for_their_client_allocate_nothing(self):
        """The client reads nothing before all is computed that may be, from its first frames on."""
        # A shape of which no frame is dear, however slow the machine was when it was measured.
        attention = {"method": "exact", "window": 120, "heads": 4, "head_dim": 16, "retroactive": True}
        with self.daemon as daemon, daemon.client() as client:
            opened = client.open(attention=attention)
            credit = opened["credit"]
            data = numpy.random.default_rng(4).normal(size=(5 * credit, opened["input_dim"])).astype("<f4")
            ping = harness.pack([0, 1, "ping", {}])     # in pieces: what keeps the first of them is made now
            client.send(ping[:9])
            daemon.settle()
            client.send(ping[9:])
            client.answer(1)
            before = self.count()
            for first in range(0, len(data), credit):
                client.push(opened["stream"], first, data[first:first + credit])
                daemon.settle()
                client.outputs(credit)
            self.assertEqual(self.count() - before, 0)

    def test_an_idle_daemon_allocates_nothing(self):
        """Until the timers of each thread have had their turn: the slowest is the main thread's status, every 5 s."""
        with self.daemon as daemon, daemon.client() as client:
            client.request("ping")
            daemon.settle()
            before, asleep = self.count(), daemon.threads()
            until(lambda: all(thread != asleep[number] for number, thread in daemon.threads().items()))
            daemon.settle()
            self.assertEqual(self.count() - before, 0)


if __name__ == "__main__":
    harness.main()
