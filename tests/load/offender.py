# SPDX-License-Identifier: MIT
"""One client that does not behave, in a process of its own: `offender.py backlog|full|reader SOCKET`.

 backlog    pushes frames of the past as fast as its credit allows, hour after hour of them;
 full       pushes twice its credit again and again, whatever errors say, as fast as the socket takes it;
 reader     pushes as many frames as its credit allows, with large outputs, and reads nothing.

Says "ready" once it offends, goes on until its standard input ends, then settles everything (the reader reads at last) and
prints one line of JSON: what it sent, what came back, and how long `ping` and `reset`, which it asks for all the while on the
same connection behind its frames, took. It is as nice as can be: the daemon is to bear it, not the scheduler.
"""
import json
import os
import select
import statistics
import sys
import time

import msgpack
import numpy

from common import harness

PUSH_FRAMES = 16        # of one message; a whole part of any credit here
ASK_S = 0.1             # a ping so often, a reset every fifth time
MOST_UNSENT = 1 << 16   # bytes here before more is written
LARGE_OUTPUTS = {"attention": {"method": "exact", "window": 64, "heads": 1, "head_dim": 64, "retroactive": True}}


class Offender:
    def __init__(self, kind, path):
        self.kind = kind
        self.client = harness.Client(path)
        opened = self.client.open(**(LARGE_OUTPUTS if kind == "reader" else {"model": "sounds"}))
        self.stream, self.credit = opened["stream"], opened["credit"]
        self.output_bytes = 4 * opened["output_dim"]
        n_frames = 2 * self.credit
        self.block = harness.frames_bytes(numpy.random.default_rng(1).standard_normal((n_frames, opened["input_dim"])))
        self.frame_bytes = len(self.block) // n_frames
        self.next = self.settled = self.outputs = self.errors = self.bytes_sent = 0
        self.unsent, self.received = b"", b""
        self.asked = {}         # {id: (method, when)}
        self.times = {}         # {method: [seconds]}
        self.counts = {}        # {method: how often it was asked for}
        self.result = None      # of the newest answer
        self.last_ask = 0.0
        self.client.socket.setblocking(False)

    def ask(self, method, **params):
        self.client.last_id += 1
        self.asked[self.client.last_id] = (method, time.monotonic())
        self.counts[method] = self.counts.get(method, 0) + 1
        self.unsent += harness.pack([0, self.client.last_id, method, params])

    def push(self, n):
        self.unsent += harness.pack([2, "push", [self.stream, self.next, self.block[:n * self.frame_bytes]]])
        self.next += n

    def offend(self):
        if self.kind == "full":
            self.push(2 * self.credit)
            return
        left = self.credit - (self.next - self.settled)
        if left >= PUSH_FRAMES:
            self.push(PUSH_FRAMES)

    def look_after(self):
        if time.monotonic() - self.last_ask < ASK_S:
            return
        self.last_ask = time.monotonic()
        self.ask("ping")
        if self.counts["ping"] % 5 == 0:
            self.ask("reset", stream=self.stream)

    def take(self, message):
        if message[0] == 1:
            method, when = self.asked.pop(message[1])
            self.times.setdefault(method, []).append(time.monotonic() - when)
            assert message[2] is None, f"{method}: {message[2]}"
            self.result = message[3]
        elif message[1] == "output":
            n = len(message[2][2]) // self.output_bytes
            self.outputs += n
            self.settled = message[2][1] + n
        elif message[1] == "error":
            self.errors += 1
            self.next = message[2].get("expected", self.next)

    def read(self):
        try:
            data = self.client.socket.recv(1 << 18)
        except BlockingIOError:
            return
        if not data:
            raise SystemExit("the daemon ended the connection")
        self.received += data
        at = 0
        while len(self.received) - at >= 4:
            end = at + 4 + int.from_bytes(self.received[at:at + 4], "big")
            if end > len(self.received):
                break
            self.take(msgpack.unpackb(self.received[at + 4:end], strict_map_key=False))
            at = end
        self.received = self.received[at:]

    def write(self):
        if not self.unsent:
            return
        try:
            n = self.client.socket.send(self.unsent)
        except BlockingIOError:
            return
        self.unsent = self.unsent[n:]
        self.bytes_sent += n

    def turn(self, reads):
        """One wait for the socket, of at most 20 ms. True once standard input has ended."""
        readable, writable, _ = select.select([0] + [self.client.socket] * reads, [self.client.socket] * bool(self.unsent), [], 0.02)
        if self.client.socket in readable:
            self.read()
        if writable:
            self.write()
        return 0 in readable

    def run(self):
        ended = False
        while not ended:
            if len(self.unsent) < MOST_UNSENT:
                self.offend()
                self.look_after()
            ended = self.turn(reads=self.kind != "reader")

    def settle(self, method):
        """Asks for a last thing, and reads until everything has been answered."""
        self.ask(method, stream=self.stream)
        until = time.monotonic() + harness.PATIENCE_S
        while self.asked and time.monotonic() < until:
            self.turn(reads=True)
        return self.result

    def figures(self, closed):
        asked = {}
        for method in ("ping", "reset"):
            times = self.times.get(method, [0])
            asked[method] = {"asked": self.counts.get(method, 0), "answered": len(self.times.get(method, [])),
                             "p50_ms": 1000 * statistics.median(times), "max_ms": 1000 * max(times)}
        return {"outputs": self.outputs, "daemons_outputs": closed["outputs"], "errors": self.errors,
                "mib_sent": self.bytes_sent / 2**20, **asked}


def main():
    os.nice(19)
    offender = Offender(*sys.argv[1:])
    print("ready", flush=True)
    offender.run()
    offender.settle("finish")
    print(json.dumps(offender.figures(offender.settle("close"))))


if __name__ == "__main__":
    main()
