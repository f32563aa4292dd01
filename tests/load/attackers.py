# SPDX-License-Identifier: MIT
"""What a bystander waits beside another user who asks for something all the time, on 1 to 6000 connections.

The bystander is one stream of the bundled model at 200 frames a second; the daemon has one shard, the first processor, and
otherwise what attnd.service gives it. Each cell of the table is a kind of request and a number of the other user's connections
(attacker.c), in pairs with the same without them, each run on a daemon of its own. Where the script runs as root, bystander and
attacker are two users, and neither is an operator.

Asked: a p99 of at most 1.5 times that without; a worst wait of at most 10 ms more; and a pulse for the watchdog that is never
100 ms late. Besides: how long SIGTERM takes to be noticed while the attack goes on, and how equally two attackers of two users
are served. ATTND and ATTNCTL name the programs of another build.
"""
import json
import os
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

import common
import harness

PROGRAM = os.path.join(harness.BUILDDIR, "tests", "load", "attacker")
KINDS = ["stats", "stray", "landmarks", "large", "reset", "dear", "connect"]
CONNECTIONS = [1, 10, 100, 1000, 6000]
BYSTANDER, ATTACKER, OTHER_ATTACKER = 65533, 65534, 65532     # uids
DESCRIPTORS = 65536         # LimitNOFILE= of attnd.service
PULSE_S = 0.01
PATIENCE_S = 10             # that a bystander may take beyond its time before the attack ends
ATTACK_S = 600              # after which an attacker ends by itself
# A user may have all the connections of an attack, four large states, and the memory of the sockets' buffers.
CONFIG = """[listen]
mode = 0666
[limits]
connections = 14000
connections_per_user = 6500
state_bytes = 3G
state_bytes_per_user = 2500M
buffer_bytes = 1G
"""
SO_TIMESTAMPNS = 35
RATIO, WORST_MS, LATE_MS = 1.5, 10, 100     # that are asked for


class Notices:
    """What a daemon tells its manager, with the moments at which it told so: the kernel's own, not those of the receipt."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.pulses, self.stopping, self.ending = [], None, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        self.socket.settimeout(0.1)
        while not self.ending.is_set():
            try:
                text, ancillary, _, _ = self.socket.recvmsg(4096, 256)
            except TimeoutError:
                continue
            at = time.time()
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", data[:16])
                    at = seconds + nanoseconds / 1e9
            lines = text.decode().splitlines()
            if "WATCHDOG=1" in lines:
                self.pulses.append(at)
            if "STOPPING=1" in lines:
                self.stopping = at

    def late_ms(self, since, until):
        """By how much the latest of the pulses was late; one that did not come until the end counts up to there."""
        times = [since] + [at for at in self.pulses if since < at < until] + [until]
        return 1000 * max(0, max(later - earlier for earlier, later in zip(times, times[1:])) - PULSE_S)

    def close(self):
        self.ending.set()
        self.thread.join()
        self.socket.close()


class Attacker:
    """A process of attacker.c, with all its connections greeted; `figures` are there behind `end`. It goes behind all others: the
    daemon is to bear it, not the scheduler."""

    def __init__(self, kind, n, served, user):
        command = ["nice", "-n", "19", PROGRAM, "--seconds", str(ATTACK_S), "--user", str(user), kind, str(n), served.socket]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.figures = None
        if self.process.stdout.readline() != b"ready\n":
            raise SystemExit(f"{' '.join(command)} could not start")

    def let_go(self):
        """Tells it to end, without waiting."""
        self.process.stdin.close()

    def end(self):
        self.let_go()
        self.figures = json.loads(self.process.stdout.read())
        self.process.wait(harness.PATIENCE_S)
        answers = self.figures["answered"] + self.figures["outputs"] + self.figures["connects"] + sum(self.figures["errors"].values())
        self.figures["answers_per_s"] = answers / self.figures["seconds"]


class Daemon:
    """A daemon under a manager that this script plays."""

    def __init__(self, report, wrapper):
        self.report = report
        self.notify = os.path.join(harness.tempfile.mkdtemp(prefix="attnd-test-"), "notify")
        self.notices = Notices(self.notify)
        environment = {"NOTIFY_SOCKET": self.notify, "WATCHDOG_USEC": str(round(2e6 * PULSE_S))}
        self.served = common.daemon("--shards", "1", config=CONFIG, wrapper=wrapper, environment=environment)

    def __enter__(self):
        os.chmod(self.served.folder, 0o711)     # for users that are not this script's
        self.served.__enter__()
        self.wait(lambda: self.notices.pulses)
        return self

    @staticmethod
    def wait(what):
        until = time.monotonic() + harness.PATIENCE_S
        while not what() and time.monotonic() < until:
            time.sleep(0.01)

    def stop(self):
        """Seconds until SIGTERM was noticed."""
        sent = time.time()
        self.served.process.send_signal(signal.SIGTERM)
        self.wait(lambda: self.notices.stopping)
        return (self.notices.stopping or time.time()) - sent

    def end(self, what):
        """Waits for the end of one that was told to stop. One that does not end is a mistake, but no other cell's."""
        try:
            self.served.process.wait(harness.PATIENCE_S)
            return
        except subprocess.TimeoutExpired:
            self.report.wrong(f"{what}: {harness.PATIENCE_S} s after SIGTERM, and without clients, the daemon had not ended")
        self.served.process.kill()
        self.served.process.wait()

    def __exit__(self, *_):
        try:
            if self.served.process.poll() is None:
                self.served.__exit__()
        finally:
            if self.served.process.poll() is None:
                self.served.process.kill()
            self.notices.close()
            for folder in (os.path.dirname(self.notify), self.served.folder):
                harness.shutil.rmtree(folder, ignore_errors=True)


def as_another(user, niceness, *command):
    """The words that start a command as that user, where this script is allowed to, and before others or behind them."""
    words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["nice", "-n", str(niceness), *words, *map(str, command)]


def bystand(served, seconds):
    """One run of `attnctl bench`, which goes before all others, since the daemon's waits are measured and not the scheduler's. What
    could not be sent in time is no mistake here but a wait. One whom the daemon did not serve at all waited for all of the time."""
    began = time.monotonic()
    command = as_another(BYSTANDER, -10, harness.ATTNCTL, "bench", "--json", "--socket", served.socket, *common.SOUNDS,
                         "--streams", 1, "--rate", 200, "--seconds", seconds)
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds + 2 * harness.PATIENCE_S, check=False)
        if done.stdout:
            return json.loads(done.stdout)
        said = done.stderr.decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        said = "not done yet"
    took_us = 1e6 * (time.monotonic() - began)
    print(f"    the bystander after {took_us / 1e6:.1f} s: {said}", flush=True)
    return {"p99_us": took_us, "max_us": took_us, "unsent": 200 * seconds, "lost": 0, "checksum": None}


def run(report, wrapper, seconds, kind=None, n=0):
    """One daemon and a bystander, with an attacker or without: the waits of the one, and what the other did. The attack ends
    before its time where the bystander is not done long after its own."""
    with Daemon(report, wrapper) as daemon:
        attacker = Attacker(kind, n, daemon.served, ATTACKER) if kind else None
        patience = threading.Timer(seconds + PATIENCE_S, attacker.let_go if attacker else lambda: None)
        patience.start()
        since = time.time()
        result = bystand(daemon.served, seconds)
        until = time.time()
        figures = {"p99_ms": result["p99_us"] / 1000, "worst_ms": result["max_us"] / 1000, "stop_ms": 1000 * daemon.stop(),
                   "late_ms": daemon.notices.late_ms(since, until), "unsent": result["unsent"],
                   "bits": None if result["unsent"] else result["checksum"]}
        patience.cancel()
        report.expect(result["lost"] == 0, f"{kind}, {n} connections: {result['lost']} frames of the bystander had no answer")
        if attacker is not None:
            attacker.end()
            figures["attacker"] = attacker.figures
        daemon.end(f"{kind}, {n} connections")
    return figures


def verdict(right):
    return "ok" if right else "not reached"


def cell(report, wrapper, kind, n):
    seconds, n_pairs = report.choose(3, 2), report.options.pairs or report.choose(3, 2)
    ones, others = common.pairs(lambda: run(report, wrapper, seconds, kind, n), lambda: run(report, wrapper, seconds), n=n_pairs)
    report.expect(len({one["bits"] for one in ones + others if one["bits"]}) <= 1, f"{kind}, {n} connections: outputs of the bystander differ")
    attackers = [one["attacker"] for one in ones]
    errors = {name: sum(one["errors"].get(name, 0) for one in attackers) for one in attackers for name in one["errors"]}
    p99 = common.ratio([one["p99_ms"] for one in ones], [other["p99_ms"] for other in others])
    row = {"kind": kind, "connections": attackers[0]["connections"], "another_uid": attackers[0]["another_uid"], "p99": p99,
           "ratio": p99["ratio"], "p99_ms": p99["one"], "p99_without_ms": p99["other"],
           "worst_ms": max(one["worst_ms"] for one in ones), "worst_without_ms": max(other["worst_ms"] for other in others),
           "late_ms": max(one["late_ms"] for one in ones), "late_without_ms": max(other["late_ms"] for other in others),
           "stop_ms": max(one["stop_ms"] for one in ones),
           "answers_per_s": statistics.median(one["answers_per_s"] for one in attackers), "errors": errors,
           "unsent": sum(one["unsent"] for one in ones), "ended": sum(one["ended"] for one in attackers), "seconds": seconds}
    row["reached"] = {"p99": verdict(row["ratio"] <= RATIO), "worst": verdict(row["worst_ms"] <= row["worst_without_ms"] + WORST_MS),
                      "pulse": verdict(row["late_ms"] < LATE_MS)}
    report.add(f"{kind}_{n}", f"{kind:<9} {row['connections']:>5}", row,
               "{p99_ms:9.2f} /{p99_without_ms:7.2f} ={ratio:8.1f} {reached[p99]:<11}  {worst_ms:8.1f} /{worst_without_ms:7.1f} "
               "{reached[worst]:<11}  {late_ms:7.1f} /{late_without_ms:6.1f} {reached[pulse]:<11}  {stop_ms:8.2f}  {answers_per_s:9.0f}")


def two_users(report, wrapper, kind, n, m):
    """Two attackers, of n and of m connections."""
    seconds = report.choose(5, 2)
    with Daemon(report, wrapper) as daemon:
        attackers = [Attacker(kind, one, daemon.served, user)
                     for one, user in ((n, ATTACKER), (m, OTHER_ATTACKER))]
        time.sleep(seconds)
        for attacker in attackers:      # both are told before either is waited for
            attacker.let_go()
        for attacker in attackers:
            attacker.end()
        daemon.stop()
        daemon.end(f"two attackers, {kind}")
    rates = [attacker.figures["answers_per_s"] for attacker in attackers]
    row = {"connections": [attacker.figures["connections"] for attacker in attackers], "one": rates[0], "other": rates[1],
           "ratio": rates[1] / rates[0] if rates[0] else float("inf"), "users": len({attacker.figures["uid"] for attacker in attackers})}
    report.add(f"two_{kind}_{n}_{m}", f"two attackers, {kind} {n} and {m}", row,
               "{one:.0f} and {other:.0f} answers/s: the second has {ratio:.2f} times as many; {users} users", "1, of two users")


def raise_descriptors():
    """As many as the service has, or as are allowed. The daemon and the attacker raise their own number to that by themselves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(hard, DESCRIPTORS)))
    except ValueError:
        if hard < 2 * max(CONNECTIONS):
            print(f"  only {hard} descriptors are allowed (ulimit -Hn): some connections may be refused")


def add_options(parser):
    parser.add_argument("--kinds", help="of the attack, separated by ','")
    parser.add_argument("--connections", help="of the attacker, separated by ','")
    parser.add_argument("--pairs", type=int, help="of runs with and without the attacker, a cell")


def main():
    report = common.Report(__doc__, add_options)
    options = report.options
    kinds = options.kinds.split(",") if options.kinds else report.choose(KINDS, ["stats", "landmarks", "large"])
    numbers = [int(n) for n in options.connections.split(",")] if options.connections else report.choose(CONNECTIONS, [1, 1000])
    raise_descriptors()
    wrapper = common.keep_apart()
    print(f"  Milliseconds, with / without the attacker. Asked: p99 ≤ {RATIO} times, worst ≤ {WORST_MS} ms more, pulse < {LATE_MS} ms late.")
    print(f"  {'attack, connections':<34} {'p99 of the bystander':<42}{'worst':<32}{'pulse late by':<30}{'SIGTERM':>7} {'answers/s':>11}")
    for kind in kinds:
        for n in numbers:
            cell(report, wrapper, kind, n)
    for n, m in [(10, 10), (1, max(numbers))]:
        two_users(report, wrapper, kinds[0], n, m)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
