# SPDX-License-Identifier: MIT
"""Frames a second over the socket, beside what the library does alone.

64 streams of the bundled model over 4 connections to a daemon with one shard, each stream's next frame sent when the one
before has been answered; in turns with a program that pushes batches of 64 streams through the library on one thread
(library_rate). Asked: at least 0.70 of the library's rate.
"""
import os
import subprocess
import sys

import common
import harness

STREAMS = 64
LIBRARY = os.path.join(harness.BUILDDIR, "tests", "load", "library_rate")


def library_rate(seconds):
    model = os.path.join(common.MODELS, "sounds.safetensors")
    return float(subprocess.check_output([LIBRARY, model, str(STREAMS), str(seconds)], timeout=common.LONGEST_S))


def main():
    report = common.Report(__doc__)
    seconds = report.choose(5, 1)
    with common.daemon("--shards", "1") as served, served.client() as client:
        def socket_rate():
            return common.bench(report, served, *common.SOUNDS, "--closed-loop", "--streams", STREAMS, "--connections", 4,
                                "--seconds", seconds)["frames_per_s"]
        ones, others = common.pairs(socket_rate, lambda: library_rate(seconds))
        stats = client.request("stats")
    figures = {**common.ratio(ones, others), "streams": STREAMS, "frames_per_batch": stats["frames"] / stats["batches"]}
    report.add("closed_loop", "frames/s of the socket / library", figures,
               common.RATIO + ": {one:.0f} / {other:.0f} frames/s", "≥ 0.70")
    report.add("batches", "frames of a batch, mean", {"frames": figures["frames_per_batch"]}, "{frames:.1f} of " + str(STREAMS))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
