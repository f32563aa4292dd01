# SPDX-License-Identifier: MIT
"""How many streams of the bundled model the machine takes, and how it bears 80 % of them.

The largest number of streams at the model's real rate whose p99 stays within 10 ms, with a shard for every processor and the
client beside them on the same processors (attnctl bench --find-capacity): the median of three searches. Then 80 % of it for a
minute. Asked at 80 %: nothing lost, p99 ≤ 10 ms, p99.9 ≤ 20 ms.
"""
import statistics
import sys

import common


def main():
    report = common.Report(__doc__)
    with common.daemon() as served:
        found = [common.find_capacity(report, served)]
        while len(found) < report.choose(3, 1):
            found.append(common.find_capacity(report, served, first=found[0]["capacity_streams"]))
        numbers = [one["capacity_streams"] for one in found]
        streams = int(statistics.median(numbers))
        report.add("capacity", "streams within a p99 of 10 ms",
                   {"streams": streams, "min": min(numbers), "max": max(numbers), "searches": len(found),
                    "confirmed": [one["capacity_confirmed"] for one in found], "rate": found[0]["rate"],
                    "trials": [one["trials"] for one in found]},
                   "{streams} ({min} … {max}, {searches} searches) at {rate:g} frames/s each")
        most = max(1, streams * 8 // 10)
        result = common.bench(report, served, *common.SOUNDS, "--streams", most, "--seconds", report.choose(60, 5))
    report.expect(result["dropped"] == 0 and result["unsent"] == 0, f"frames were dropped or not sent: {result}")
    report.add("at_80", f"{most} of them, latency",
               {**common.ms(result, "p50_us", "p99_us", "p999_us", "max_us"), "streams": most, "seconds": result["seconds"],
                "answered": result["answered"], "lost": result["lost"], "client_us_per_frame": result["client_us_per_frame"]},
               "p50 {p50_ms:.2f}, p99 {p99_ms:.2f}, p99.9 {p999_ms:.2f}, most {max_ms:.2f} ms; {answered} answered, {lost} lost",
               "p99 ≤ 10 ms, p99.9 ≤ 20 ms, 0 lost")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
