# SPDX-License-Identifier: MIT
"""What the scripts about load share: daemons, runs of `attnctl bench`, pairs of figures, the table and load.json."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import harness

MODELS = os.path.join(harness.SRCDIR, "etc", "models")
SOUNDS = ["-m", "sounds"]       # the bundled model; bench's rate for it is that of its audio
RATE = 25                       # which is this, frames a second
N_PAIRS = 10
LONGEST_S = 900                 # that any one run may take before the script gives up


class Report:
    """The rows of one script: printed as they come, and kept in its part of load.json. What is wrong (frames lost, bits that
    differ, counts that do not add up) makes the script fail; how long something took never does."""

    def __init__(self, text, add_options=lambda parser: None):
        parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--quick", action="store_true", help="seconds instead of minutes, to try the script")
        parser.add_argument("--output", default=os.path.join(harness.BUILDDIR, "load.json"), help="file of JSON (load.json)")
        add_options(parser)
        self.options = options = parser.parse_args()
        self.quick, self.path = options.quick, options.output
        self.name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        self.rows, self.wrongs = {}, []
        print(f"\n{self.name}: {text.strip().splitlines()[0]}")
        self.add("machine", "machine", {"processors": os.cpu_count(), "load_average": os.getloadavg()[0], "quick": self.quick},
                 "{processors} processors for daemon and clients, load average {load_average:.2f} at the start")

    def choose(self, full, quick):
        return quick if self.quick else full

    def add(self, key, label, figures, text, asked=None):
        """One row: `text` is filled in from the dictionary `figures`, which is what load.json has."""
        self.rows[key] = {**figures, **({"asked": asked} if asked else {})}
        print(f"  {label:<34} {text.format(**figures)}{f'   (asked: {asked})' if asked else ''}", flush=True)

    def wrong(self, text):
        self.wrongs.append(text)
        print(f"  WRONG: {text}", flush=True)

    def expect(self, right, text):
        if not right:
            self.wrong(text)

    def earlier(self, name, key):
        """The row of another script that has been run in the same way; None without."""
        row = self.read().get(name, {})
        return row.get(key) if row.get("machine", {}).get("quick") == self.quick else None

    def read(self):
        try:
            with open(self.path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def end(self):
        """Writes load.json; returns the exit status."""
        whole = {**self.read(), self.name: {**self.rows, "wrong": self.wrongs}}
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(whole, file, indent=1)
            file.write("\n")
        return 1 if self.wrongs else 0


def keep_apart():
    """Leaves the first processor to daemons, and the others to clients, from here on. Which words start a daemon so. A client that
    the scheduler puts beside a busy daemon waits for it, which says nothing of the daemon; with one processor there is no choice."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        return ()
    os.sched_setaffinity(0, processors[1:])
    return ("taskset", "-c", str(processors[0]))


def daemon(*arguments, config="", wrapper=(), environment=None):
    """attnd with the bundled model, on a socket of its own; as attnd.service has it, before others where it is allowed to be."""
    return harness.Daemon("--models", MODELS, *arguments, config=config, wrapper=(*wrapper, "nice", "-n", "-10"),
                          environment=environment)


def bench(report, served, *arguments):
    """The figures of one run of `attnctl bench`. That every frame is accounted for and none lost is seen to here."""
    command = [harness.ATTNCTL, "bench", "--json", "--socket", served.socket, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=LONGEST_S, check=False)
    errors = done.stderr.decode(errors="replace").strip()
    if not done.stdout:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{errors}")
    result = json.loads(done.stdout)
    report.expect(done.returncode == 0, f"bench {' '.join(map(str, arguments))} ended with {done.returncode}: {errors}")
    report.expect(result["sent"] == result["answered"] + result["dropped"] + result["lost"], f"the counts of bench differ: {result}")
    report.expect(result["lost"] == 0, f"{result['lost']} frames were lost")
    return result


def pairs(one, other, n=N_PAIRS):
    """Runs both n times in turns, and who is first in turns as well. The two lists of what they return."""
    ones, others = [], []
    for i in range(n):
        for call, results in [(one, ones), (other, others)][::1 if i % 2 == 0 else -1]:
            results.append(call())
    return ones, others


def ratio(ones, others):
    """The median of the pairs' ratios with the least and the largest, and the medians of both sides."""
    ratios = [one / other for one, other in zip(ones, others)]
    return {"ratio": statistics.median(ratios), "min": min(ratios), "max": max(ratios), "pairs": len(ratios),
            "one": statistics.median(ones), "other": statistics.median(others)}


RATIO = "{ratio:.3f} ({min:.3f} … {max:.3f}, {pairs} pairs)"


def ms(figures, *names):
    """Of the microseconds of bench, those names in milliseconds: {"p99_us": 1500} gives {"p99_ms": 1.5}."""
    return {name.replace("_us", "_ms"): figures[name] / 1000 for name in names}


class Memory:
    """The resident bytes of a process every 100 ms, in a `with` statement."""

    def __init__(self, pid):
        self.pid, self.samples, self.ending = pid, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def watch(self):
        while not self.ending.wait(0.1):
            self.samples.append((time.monotonic(), resident_bytes(self.pid)))

    def figures(self, seconds):
        """Of the last so many seconds: after a fifth of them, when all queues have been full once, in the middle and near the
        end, before streams are closed; and the most. MiB."""
        sizes = [size / 2**20 for at, size in self.samples if at >= self.samples[-1][0] - seconds]
        return {"start_mib": sizes[len(sizes) // 5], "middle_mib": sizes[len(sizes) // 2],
                "end_mib": sizes[len(sizes) * 9 // 10], "most_mib": max(sizes)}


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def capacity(report):
    """Streams of the bundled model with a p99 within 10 ms: as capacity.py found, or else searched for now."""
    row = report.earlier("capacity", "capacity")
    if row is None:
        with daemon() as served:
            row = {"streams": find_capacity(report, served)["capacity_streams"]}
    return row["streams"]


def find_capacity(report, served, first=16):
    """bench's search, which tries `first` streams first."""
    return bench(report, served, *SOUNDS, "--find-capacity", "--p99", 10, "--seconds", report.choose(5, 1), "--streams", first)
