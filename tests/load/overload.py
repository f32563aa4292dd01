# SPDX-License-Identifier: MIT
"""Twice the streams that the machine takes: who is refused, what is dropped, what waits.

Twice the capacity (of capacity.py, or searched for here) in streams of the bundled model at their real rate, three times:
 admitted   they say their rate and a deadline of 10 ms; asked: over_capacity refuses the rest, and the admitted have
            p99 ≤ 10 ms;
 dropping   they say no rate, a deadline of 10 ms and late = drop-oldest; asked: what is answered is within the deadline at
            p99, every other frame is named as dropped, none is lost, and the daemon's memory stays flat;
 blocking   they say neither; asked: nothing is lost or dropped, and the sender is slowed: it has as many answers as frames.
"""
import sys

import common

DEADLINE_MS = 10


def run(report, key, n_streams, *arguments):
    """One overloaded daemon: its row, and that of its memory. Returns bench's figures."""
    with common.daemon() as served, common.Memory(served.pid) as memory:
        result = common.bench(report, served, *common.SOUNDS, "--streams", n_streams, "--seconds", report.choose(30, 5), *arguments)
    figures = {**result, **common.ms(result, "p50_us", "p99_us", "lag_us_p99"), "asked_frames_per_s": n_streams * result["rate"],
               "asked_streams": n_streams}
    report.add(key, f"{key}: streams", figures, "{asked_streams} asked for, {refused} refused, {streams} served")
    report.add(f"{key}_frames", f"{key}: frames", figures,
               "{sent} sent = {answered} answered + {dropped} dropped + {lost} lost; {unsent} never sent")
    report.add(f"{key}_rate", f"{key}: answers/s", figures, "{frames_per_s:.0f} of {asked_frames_per_s:.0f} asked for")
    report.add(f"{key}_memory", f"{key}: memory of the daemon", memory.figures(result["seconds"]),
               "{start_mib:.1f} near the start, {middle_mib:.1f} in the middle, {end_mib:.1f} near the end, most {most_mib:.1f} MiB")
    return result, figures


def main():
    report = common.Report(__doc__)
    twice = 2 * common.capacity(report)
    latency = "p99 {p99_ms:.2f} ms at the client, {lag_ms_p99:.2f} ms in the daemon"

    result, figures = run(report, "admitted", twice, "--admit", "--deadline", DEADLINE_MS)
    report.expect(result["streams"] + result["refused"] == twice, "streams are neither served nor refused")
    report.add("admitted_latency", "admitted: latency", figures, latency, "p99 ≤ 10 ms")

    result, figures = run(report, "dropping", twice, "--deadline", DEADLINE_MS, "--late", "drop-oldest")
    report.expect(result["sent"] == result["answered"] + result["dropped"], "frames are neither answered nor named")
    report.add("dropping_latency", "dropping: latency of the answered", figures, latency, f"p99 ≤ {DEADLINE_MS} ms")

    result, figures = run(report, "blocking", twice)
    report.expect(result["dropped"] == 0 and result["answered"] == result["sent"], "a blocking stream did not get all answers")
    report.add("blocking_latency", "blocking: latency from the schedule", figures, latency)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
