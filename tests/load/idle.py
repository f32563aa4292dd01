# SPDX-License-Identifier: MIT
"""What streams cost that do nothing, and whether the live ones notice them.

10,000 streams of a small raw attention on 100 connections, each of which has had as many frames as its credit and then none,
beside 50 live streams of the bundled model at their real rate; the live ones run in turns on a daemon with that crowd and on
one without. Asked: at most 2 KiB of memory for an idle stream beyond its state, less than 1 % of a processor for all of them,
and a p99 of the live ones of at most 1.25 times that without the crowd.
"""
import sys
import time

import numpy

import common

CONNECTIONS = 100
STREAMS = 100           # on each of them
LIVE = 50
SHAPE = {"method": "exact", "window": 4, "heads": 1, "head_dim": 2}


def fill(client):
    """Opens a connection's streams, and gives each so many frames that all of its state has been written to."""
    opened = [client.answer(number) for number in [client.ask("open", attention=SHAPE) for _ in range(STREAMS)]]
    frames = numpy.ones((opened[0]["credit"], opened[0]["input_dim"]), dtype="<f4")
    for stream in opened:
        client.push(stream["stream"], 0, frames)
        client.request("finish", stream=stream["stream"])
    client.notifications.clear()


def crowd(report, served):
    """The connections with all their idle streams, and the row of what they take."""
    before = common.resident_bytes(served.pid)
    clients = [served.client() for _ in range(CONNECTIONS)]
    for client in clients:
        fill(client)
    taken, n = common.resident_bytes(served.pid) - before, CONNECTIONS * STREAMS
    stats = clients[0].request("stats")
    report.expect(stats["streams"] == n, f"{stats['streams']} streams are open, not {n}")
    report.add("memory", "memory of an idle stream", {"bytes": taken / n, "state_bytes": stats["state_bytes"] / n, "streams": n,
                                                      "beyond_state_bytes": (taken - stats["state_bytes"]) / n},
               "{bytes:.0f} bytes, of which {state_bytes:.0f} are its state: {beyond_state_bytes:.0f} beyond", "≤ 2048 beyond")
    return clients


def idle_cpu(report, served):
    seconds, before = report.choose(10, 3), common.cpu_seconds(served.pid)
    time.sleep(seconds)
    share = (common.cpu_seconds(served.pid) - before) / seconds
    report.add("cpu", "the daemon's use of a processor", {"percent": 100 * share, "seconds": seconds}, "{percent:.2f} % while all are idle",
               "< 1 %")


def main():
    report = common.Report(__doc__)
    arguments = [*common.SOUNDS, "--streams", LIVE, "--seconds", report.choose(5, 1)]
    with common.daemon() as alone, common.daemon() as crowded:
        clients = crowd(report, crowded)
        idle_cpu(report, crowded)
        ones, others = common.pairs(lambda: common.bench(report, crowded, *arguments), lambda: common.bench(report, alone, *arguments))
        report.expect(len({result["checksum"] for result in ones + others}) == 1, "outputs of the live streams differ")
        figures = common.ratio([result["p99_us"] for result in ones], [result["p99_us"] for result in others])
        report.add("live", "p99 of the live with / without", {**figures, "streams": LIVE},
                   common.RATIO + ": {one:.0f} / {other:.0f} µs", "≤ 1.25")
        stats = clients[0].request("stats")
        report.expect(stats["streams"] == CONNECTIONS * STREAMS, f"{stats['streams']} idle streams are left of {CONNECTIONS * STREAMS}")
        for client in clients:
            client.request("ping")
            client.socket.close()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
