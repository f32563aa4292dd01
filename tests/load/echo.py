# SPDX-License-Identifier: MIT
"""One stream's round trip, beside a bare echo.

One stream of a raw Nyström attention (n = 120, m = 16, H = 1, d = 192), one frame at a time over the socket, beside a libuv
process that echoes the same bytes, in turns (attnctl bench --echo). Asked: a p50 of at most twice the echo's. All of them
share one processor: where the scheduler may choose, a pair's two halves differ by where it puts whom, 4 or 40 µs on some
machines, and by nothing else.
"""
import os
import sys

import common

ATTENTION = ["--method", "nystrom", "--window", 120, "--landmarks", 16, "--heads", 1, "--head-dim", 192]


def main():
    report = common.Report(__doc__)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with common.daemon() as served:
        result = common.bench(report, served, "--echo", "--seconds", report.choose(40, 4), *ATTENTION)
    figures = {"ratio": result["echo_ratio"], "min": result["echo_ratio_min"], "max": result["echo_ratio_max"],
               "pairs": result["pairs"], "one": result["p50_us"], "other": result["echo_p50_us"], "frames": result["answered"]}
    report.add("echo", "p50 of a round trip / the echo's", figures, common.RATIO + ": {one:.1f} µs / {other:.1f} µs", "≤ 2")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
