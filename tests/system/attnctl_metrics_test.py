# SPDX-License-Identifier: MIT
"""attnctl metrics: each metric after work that is known, the format to the letter, and the manual's list of them."""
import os
import re
import shutil
import stat

import numpy

import attnctl_case
import harness
from harness import SRCDIR, Daemon, RpcError

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[+-]Inf|NaN"
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({NUMBER})")
SUFFIXES = {"counter": {""}, "gauge": {""}, "histogram": {"_bucket", "_sum", "_count"}}
# From 16 us on, powers of two, exactly.
LAG_BOUNDS = [f"{(1 << power) / 1e6:.6f}".rstrip("0") for power in range(4, 25)] + ["+Inf"]
SIZE_BOUNDS = ["1", "2", "4", "8", "16", "32", "64", "+Inf"]


def labels_of(text):
    pairs = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', text or "")
    unescaped = {"n": "\n", "\\": "\\", '"': '"'}
    return {name: re.sub(r"\\(.)", lambda found: unescaped[found.group(1)], value) for name, value in pairs}


class Metric:
    def __init__(self, type_, unit, help_):
        self.type, self.unit, self.help = type_, unit, help_
        self.samples = {}       # {(suffix, ((label, value), ...)): number}

    def values(self, suffix=""):
        return {labels: value for (ending, labels), value in self.samples.items() if ending == suffix}

    def total(self, suffix="", **labels):
        return sum(value for told, value in self.values(suffix).items() if labels.items() <= dict(told).items())


def parse(text):
    """{name: Metric}. Stricter than Prometheus: HELP, TYPE and UNIT of a metric once, in this order, right before all
    of its samples, none of which comes twice; nothing else, not even blank lines."""
    assert text.endswith("\n"), "the last line has no end"
    metrics, name, lines = {}, None, text[:-1].split("\n")
    while lines:
        found = re.fullmatch(rf"# HELP ({NAME}) ((?:[^\\\n]|\\\\|\\n)+)", lines.pop(0))
        assert found, "no HELP where one belongs"
        name = found.group(1)
        assert name not in metrics, f"{name} comes twice"
        type_ = re.fullmatch(rf"# TYPE {name} (counter|gauge|histogram)", lines.pop(0)).group(1)
        unit = re.fullmatch(rf"# UNIT {name} ([a-z0-9]+)", lines.pop(0)).group(1)
        metric = metrics[name] = Metric(type_, unit, found.group(2))
        while lines and not lines[0].startswith("# HELP "):
            sample = SAMPLE.fullmatch(lines.pop(0))
            assert sample and sample.group(1).startswith(name), name
            key = (sample.group(1)[len(name):], tuple(labels_of(sample.group(2)).items()))
            assert key[0] in SUFFIXES[type_], key
            assert key not in metric.samples, f"{name} {key} comes twice"
            metric.samples[key] = float(sample.group(3))
    return metrics


def bucket_rows(metric):
    """{labels without le: [(bound, count)] in the order of the text}"""
    rows = {}
    for labels, count in metric.values("_bucket").items():
        bound = dict(labels)["le"]
        rows.setdefault(tuple(pair for pair in labels if pair[0] != "le"), []).append((bound, count))
    return rows


def manual():
    """{name: (type, unit, labels)} of attnctl(1)."""
    with open(os.path.join(SRCDIR, "man", "attnctl.1"), encoding="utf-8") as file:
        section = file.read().split(".Sh METRICS")[1].split(".Sh ")[0]
    found = re.findall(r"^\.It Cm (\w+) Pq (\w+), (\w+)(?:; (.+))?$", section, re.MULTILINE)
    assert len(found) == section.count(".It ")
    return {name: (type_, unit, set(labels.split(", ")) if labels else set()) for name, type_, unit, labels in found}


class Metrics(attnctl_case.Case):
    def metrics(self, daemon):
        return parse(self.run_attnctl("--socket", daemon.socket, "metrics")[0].decode())

    def work(self, client):
        """Two streams of a model and a raw attention; 10, 20 and 5 frames, one of them bad, one pushed twice."""
        streams = [client.open(model="tiny", rate=5)["stream"], client.open(model="tiny")["stream"],
                   client.open_attention()["stream"]]
        lags = {"tiny": [], "attention": []}
        for stream, count, width, model in zip(streams, (10, 20, 4), (256, 256, 6), ("tiny", "tiny", "attention")):
            for number in range(count):
                client.push(stream, number, numpy.full((1, width), 0.25))
                lags[model].append(client.notification()[1][3]["lag_us"])
        client.push(streams[2], 4, numpy.full((1, 6), numpy.inf))
        self.assertEqual(client.notification()[1]["name"], "bad_frame")
        client.push(streams[0], 9, numpy.zeros((1, 256)))   # it is answered again
        self.assertEqual(client.notification()[0], "output")
        with self.assertRaises(RpcError):
            client.request("open", model="nobody")
        return streams, lags

    def check_histograms(self, metrics):
        for metric in metrics.values():
            if metric.type != "histogram":
                continue
            bounds = LAG_BOUNDS if metric.unit == "seconds" else SIZE_BOUNDS
            for labels, row in bucket_rows(metric).items():
                self.assertEqual([bound for bound, _ in row], bounds)
                counts = [count for _, count in row]
                self.assertEqual(counts, sorted(counts))
                self.assertEqual(counts[-1], metric.values("_count")[labels])
                self.assertIn(labels, metric.values("_sum"))

    def test_each_metric_after_work_that_is_known(self):
        config = "[limits]\nstreams = 77\nstate_bytes = 64M\n"
        with Daemon("--shards", "1", "--models", self.path("models"), config=config) as daemon:
            with daemon.client() as client, daemon.client() as other:
                streams, lags = self.work(client)
                state_bytes = other.request("info", stream=streams[0])["state_bytes"]
                other.request("kill", stream=streams[1])
                other.request("close", stream=streams[2])
                before = other.request("stats")
                metrics = self.metrics(daemon)
                after = other.request("stats")
        self.check_histograms(metrics)
        lag, sizes = metrics["attnd_lag_seconds"], metrics["attnd_batch_frames"]
        shard = (("shard", "0"),)
        exactly = {
            "attnd_info": {(("version", before["version"]),): 1},
            "attnd_models": {(): 1},
            "attnd_connections": {shard: 3},        # the two, and attnctl's own
            "attnd_streams": {(("model", "attention"), *shard): 0, (("model", "tiny"), *shard): 1},
            "attnd_streams_parked": {shard: 0},
            "attnd_streams_limit": {(): 77},
            "attnd_streams_opened_total": {(): 3},
            "attnd_streams_attached_total": {(): 0},
            "attnd_streams_closed_total": {(): 2},
            "attnd_streams_expired_total": {(): 0},
            "attnd_streams_killed_total": {(): 1},
            "attnd_state_bytes": {(): state_bytes},
            "attnd_state_limit_bytes": {(): 64 << 20},
            "attnd_errors_total": {(("error", "bad_frame"),): 1, (("error", "unknown_model"),): 1},
            "attnd_frames_total": {(("model", "attention"), *shard): 5, (("model", "tiny"), *shard): 30},
            "attnd_frames_refused_total": {(("model", "attention"), *shard): 1, (("model", "tiny"), *shard): 0},
            "attnd_frames_dropped_total": {(("model", "attention"), *shard): 0, (("model", "tiny"), *shard): 0},
            "attnd_frames_skipped_total": {(("model", "attention"), *shard): 0, (("model", "tiny"), *shard): 0},
            "attnd_frames_repeated_total": {(): 1},
            "attnd_outputs_total": {(("model", "attention"), *shard): 4, (("model", "tiny"), *shard): 30},
            "attnd_outputs_missed_total": {(("model", "attention"), *shard): 0, (("model", "tiny"), *shard): 0},
            "attnd_queue_frames": {shard: 0},
            "attnd_oldest_wait_seconds": {shard: 0},
            "attnd_batches_total": {shard: 35},
        }
        # What depends on time: {name: (least, most)} of the sum of its values.
        within = {
            "attnd_utilisation_ratio": (0, 1.1),
            "attnd_claimed_ratio": (1e-9, 1),       # of the one stream that told its rate
            "attnd_uptime_seconds": (before["uptime_s"], after["uptime_s"]),
            "attnd_received_bytes_total": (before["bytes_in"], after["bytes_in"]),
            "attnd_sent_bytes_total": (before["bytes_out"], after["bytes_out"]),
            "attnd_cpu_seconds_total": (before["cpu_us"] / 1e6 - 2e-6, after["cpu_us"] / 1e6),
            "attnd_shard_cpu_seconds_total": (before["shards"][0]["cpu_us"] / 1e6, after["shards"][0]["cpu_us"] / 1e6),
        }
        for name, expected in exactly.items():
            self.assertEqual(metrics[name].values(), expected, name)
        for name, (least, most) in within.items():
            self.assertGreaterEqual(metrics[name].total(), least - 1e-9, name)
            self.assertLessEqual(metrics[name].total(), most + 1e-9, name)
        for model, told in lags.items():
            self.assertEqual(lag.values("_count")[(("model", model),)], len(told))
            self.assertAlmostEqual(lag.values("_sum")[(("model", model),)], sum(told) / 1e6, 9)
            self.assertEqual(bucket_rows(lag)[(("model", model),)],
                             [(bound, sum(one < float(bound) * 1e6 for one in told)) for bound in LAG_BOUNDS])
        self.assertEqual(sizes.values("_sum"), {shard: 35})
        self.assertEqual(bucket_rows(sizes)[shard], [(bound, 35) for bound in SIZE_BOUNDS])
        checked = {*exactly, *within, "attnd_lag_seconds", "attnd_batch_frames"}
        self.assertEqual(checked, set(metrics), "a metric is not checked")

    def test_the_manual_lists_exactly_what_is_printed(self):
        with Daemon("--models", self.path("models")) as daemon, daemon.client() as client:
            self.work(client)
            metrics = self.metrics(daemon)
        told = {name: (metric.type, metric.unit,
                       {label for _, labels in metric.samples for label, _ in labels} - {"le"})
                for name, metric in metrics.items()}
        self.assertEqual(manual(), told)

    def test_names_say_type_and_unit_as_is_usual(self):
        with Daemon() as daemon:
            metrics = self.metrics(daemon)
        for name, metric in metrics.items():
            self.assertTrue(name.startswith("attnd_"))
            self.assertEqual(name.endswith("_total"), metric.type == "counter", name)
            base = name.removesuffix("_total")
            for unit in ("seconds", "bytes", "ratio"):
                self.assertEqual(base.endswith(f"_{unit}"), metric.unit == unit, name)
            self.assertNotRegex(base, "(milli|micro|nano|_ms|_us|_kb)")

    def test_a_model_of_any_name_is_a_label_of_that_value(self):
        name = 'we"ird\\ name{}=, é'
        shutil.copy(self.path("models/tiny.safetensors"), self.path(f"models/{name}.safetensors"))
        with Daemon("--shards", "1", "--models", self.path("models")) as daemon, daemon.client() as client:
            client.open(model=name)
            metrics = self.metrics(daemon)
        self.assertEqual(metrics["attnd_streams"].values(), {(("model", name), ("shard", "0")): 1})
        self.assertEqual(metrics["attnd_lag_seconds"].total("_count", model=name), 0)

    def test_counters_never_go_back_when_streams_end(self):
        with Daemon("--models", self.path("models")) as daemon:
            last = {}
            for _ in range(3):
                with daemon.client() as client:
                    self.work(client)
                metrics = self.metrics(daemon)
                now = {(name, key): value for name, metric in metrics.items() if metric.type != "gauge"
                       for key, value in metric.samples.items()}
                for key, value in last.items():
                    self.assertGreaterEqual(now[key], value, key)
                last = now

    def test_a_file_is_replaced_whole_and_an_old_one_stays_where_that_fails(self):
        path = self.path("attnd.prom")
        with Daemon() as daemon:
            for _ in range(2):
                out, _ = self.run_attnctl("--socket", daemon.socket, "metrics", "-o", path)
                self.assertEqual(out, b"")
            with open(path, encoding="utf-8") as file:
                self.assertIn("attnd_info", parse(file.read()))
            self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("attnd.prom.")], [])
            self.assertTrue(os.stat(path).st_mode & stat.S_IRUSR)
            nowhere = self.path("nowhere/x.prom")
            _, errors = self.run_attnctl("--socket", daemon.socket, "metrics", "-o", nowhere, status=1)
            self.assertIn("nowhere/x.prom cannot be written", errors)
        before = os.stat(path).st_mtime_ns
        self.run_attnctl("--socket", daemon.socket, "metrics", "-o", path, status=3)
        self.assertEqual(os.stat(path).st_mtime_ns, before)

    def test_the_example_for_systemd_runs_what_there_is(self):
        with open(os.path.join(SRCDIR, "etc/examples/attnd-metrics.service"), encoding="utf-8") as file:
            command = re.search(r"^ExecStart=attnctl (.*)$", file.read(), re.MULTILINE).group(1).split()
        self.assertTrue(command[-1].endswith(".prom"))
        with Daemon() as daemon:
            self.environment["ATTND_SOCKET"] = daemon.socket
            self.run_attnctl(*command[:-1], self.path("example.prom"))
        self.assertTrue(os.path.exists(self.path("example.prom")))


if __name__ == "__main__":
    harness.main()
