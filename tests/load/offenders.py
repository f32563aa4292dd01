# SPDX-License-Identifier: MIT
"""Whether 100 live streams notice another client that does not behave.

100 streams of the bundled model at their real rate on a daemon with one shard, which they share with the offender; in turns
with the same on a daemon without one. Daemons have the first processor, and all clients the others. The offenders
(offender.py): `backlog` pushes hours of frames as fast as its credit allows, `full` pushes far beyond its credit whatever
errors say, `reader` uses its credit up on large outputs and reads nothing for a minute. Asked: a p99 of the live ones of at
most 1.25 times that without; their outputs with the same bits; and every `ping` and `reset` behind the offender's frames on
its own connection answered.
"""
import json
import os
import subprocess
import sys

import common
import harness

LIVE = 100
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "offender.py")
# The reader is to be there for all of its minute: without this the daemon ends it after 30 s, as slow_consumer.
CONFIG = "[timeouts]\nsend_ms = 600000\n"


class Offender:
    """offender.py beside what stands in the `with` statement; `figures` are there behind it."""

    def __init__(self, kind, served):
        self.process = subprocess.Popen([sys.executable, PROGRAM, kind, served.socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.figures = None

    def __enter__(self):
        assert self.process.stdout.readline() == b"ready\n", "the offender could not start"
        return self

    def __exit__(self, *_):
        output, _ = self.process.communicate(timeout=2 * harness.PATIENCE_S)
        self.figures = json.loads(output)


def tell(report, kind, offenders):
    """What the offenders did and were answered, all in all."""
    total = {key: sum(offender[key] for offender in offenders) for key in ("outputs", "daemons_outputs", "errors", "mib_sent")}
    report.expect(total["outputs"] == total["daemons_outputs"], f"{kind}: outputs of the offender are missing: {total}")
    total["hours"] = total["outputs"] / common.RATE / 3600
    report.add(f"{kind}_did", f"{kind}: it", total,
               "sent {mib_sent:.1f} MiB, had {outputs} outputs ({hours:.2f} hours of frames) and {errors} errors")
    for method in ("ping", "reset"):
        times = [offender[method] for offender in offenders]
        row = {"asked": sum(time["asked"] for time in times), "answered": sum(time["answered"] for time in times),
               "p50_ms": common.statistics.median(time["p50_ms"] for time in times), "max_ms": max(time["max_ms"] for time in times)}
        report.expect(row["asked"] == row["answered"], f"{kind}: {method} was not always answered: {row}")
        report.add(f"{kind}_{method}", f"{kind}: {method} behind its frames", row,
                   "{answered} of {asked} answered, p50 {p50_ms:.2f} ms, most {max_ms:.1f} ms")


def measure(report, kind, seconds, stays, wrapper):
    """Pairs with and without the offender: one that stays through all of them, or one anew for each run beside it."""
    offenders = []
    arguments = [*common.SOUNDS, "--streams", LIVE, "--connections", 4, "--seconds", seconds]
    with (common.daemon("--shards", "1", wrapper=wrapper) as alone,
          common.daemon("--shards", "1", config=CONFIG, wrapper=wrapper) as beset):
        def live(served):
            return common.bench(report, served, *arguments)

        def beside(call):
            with Offender(kind, beset) as offender:
                result = call()
            offenders.append(offender.figures)
            return result

        def run(with_offender):
            return common.pairs(with_offender, lambda: live(alone))

        ones, others = beside(lambda: run(lambda: live(beset))) if stays else run(lambda: beside(lambda: live(beset)))
    report.expect(len({result["checksum"] for result in ones + others}) == 1, f"{kind}: outputs of the live streams differ")
    report.expect(all(result["answered"] == result["sent"] for result in ones + others), f"{kind}: frames were not answered")
    figures = common.ratio([result["p99_us"] for result in ones], [result["p99_us"] for result in others])
    report.add(kind, f"{kind}: p99 of the live with / without",
               {**figures, "streams": LIVE, "checksum": ones[0]["checksum"], "seconds": seconds},
               common.RATIO + ": {one:.0f} / {other:.0f} µs; same bits", "≤ 1.25")
    tell(report, kind, offenders)


def main():
    report = common.Report(__doc__)
    wrapper = common.keep_apart()
    measure(report, "backlog", report.choose(5, 1), stays=False, wrapper=wrapper)
    measure(report, "full", report.choose(5, 1), stays=False, wrapper=wrapper)
    measure(report, "reader", report.choose(3, 0.5), stays=True, wrapper=wrapper)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
