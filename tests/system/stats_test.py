# SPDX-License-Identifier: MIT
"""What the daemon counts and tells of itself: every figure of `stats` and `info` against work that is known."""
import os
import re
import tempfile
import time
import unittest

import numpy

import attnctl_case
import harness
from harness import SRCDIR, Daemon, RpcError, until

MAX_ELEMENTS = 32768    # of protocol/limits.h
COUNTS = ("frames", "outputs", "refused", "dropped", "skipped", "missed")


def bucket_of(lag_us):
    """As attnd-protocol(7) defines it, by its floors."""
    return next(b for b in range(464) if b == 463 or lag_us < floor_of(b + 1))


def floor_of(bucket):
    return bucket if bucket < 16 else (16 + bucket % 16) << (bucket // 16 - 1)


def elements(value):
    """Values of a message, counted over all nesting, keys too."""
    if isinstance(value, dict):
        return 1 + sum(1 + elements(part) for part in value.values())
    if isinstance(value, list):
        return 1 + sum(elements(part) for part in value)
    return 1


def one_by_one(client, stream, first, count, width):
    """Pushes frames, each after the answer to the one before; returns their lags."""
    lags = []
    for number in range(first, first + count):
        client.push(stream, number, numpy.full((1, width), 0.5))
        method, params = client.notification()
        assert method == "output", params
        lags.append(params[3]["lag_us"])
    return lags


class Stats(unittest.TestCase):
    def folder_of_models(self, *names):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        for name in names:
            attnctl_case.write_model(os.path.join(folder, f"{name}.safetensors"), frontend=None, input_dim=4)
        return folder

    def test_models_and_shards_tell_what_was_done(self):
        folder = self.folder_of_models("one", "two", "unused")
        with Daemon("--shards", "2", "--models", folder) as daemon, daemon.client() as a, daemon.client() as b:
            lags = {"one": [], "two": [], "attention": []}
            for client in (a, b):
                for name in ("one", "two"):
                    stream = client.open(model=name)["stream"]
                    lags[name] += one_by_one(client, stream, 0, 7, 4)
            raw = b.open_attention()["stream"]
            lags["attention"] = one_by_one(b, raw, 0, 5, 6)
            b.push(raw, 5, numpy.full((1, 6), numpy.nan))
            self.assertEqual(b.notification()[1]["name"], "bad_frame")
            b.request("close", stream=raw)
            stats = a.request("stats", detail=True)

            models = {model["model"]: model for model in stats["models"]}
            self.assertEqual(list(models), ["attention", "one", "two", "unused"])
            expected = {"attention": (6, 5, 1, 0), "one": (14, 14, 0, 2), "two": (14, 14, 0, 2),
                        "unused": (0, 0, 0, 0)}
            for name, model in models.items():
                self.assertEqual(tuple(model[key] for key in ("frames", "outputs", "refused", "streams")), expected[name])
                self.assertEqual((model["dropped"], model["skipped"], model["missed"], model["queue"]), (0, 0, 0, 0))
                for key in COUNTS + ("streams", "queue"):
                    self.assertEqual(sum(part[key] for part in model["shards"]), model[key], (name, key))
                counted = lags.get(name, [])
                self.assertEqual(dict(model["histogram"]), {b: sum(bucket_of(lag) == b for lag in counted)
                                                            for b in sorted({bucket_of(lag) for lag in counted})})
                self.assertEqual(model["lag_sum_us"], sum(counted))
                self.assertEqual(model["lag_us"]["max"], max(counted, default=0))
                self.assertLessEqual(model["lag_us"]["p50"], model["lag_us"]["p99"])
                self.assertLessEqual(model["lag_us"]["p999"], model["lag_us"]["max"])
            self.assertEqual([part["shard"] for part in models["one"]["shards"]], [0, 1])

            for key in COUNTS:
                self.assertEqual(stats[key], sum(model[key] for model in stats["models"]), key)
            for key in ("streams", "parked", "connections", "queue", "batches"):
                self.assertEqual(stats[key], sum(shard[key] for shard in stats["shards"]), key)
            self.assertEqual((stats["streams"], stats["parked"], stats["served_models"]), (4, 0, 3))
            self.assertEqual([shard["shard"] for shard in stats["shards"]], [0, 1])
            self.assertEqual(sum(shard["batch_frames"] for shard in stats["shards"]), 34)
            self.assertEqual(sum(shard["batch_sizes"][0] for shard in stats["shards"]), 34)     # one by one
            for shard in stats["shards"]:
                self.assertEqual(len(shard["batch_sizes"]), 7)
                self.assertGreater(shard["cpu_us"], 0)
            self.assertEqual(stats["errors"], {"bad_frame": 1})

    def test_counts_go_on_where_a_reload_replaces_removes_and_brings_back_a_model(self):
        folder = self.folder_of_models("one")
        path = os.path.join(folder, "one.safetensors")
        with Daemon("--shards", "1", "--models", folder) as daemon, daemon.client() as client:
            def counted():
                model, = (model for model in client.request("stats")["models"] if model["model"] == "one")
                return model["frames"], model["streams"]

            old = client.open(model="one")["stream"]
            one_by_one(client, old, 0, 3, 4)
            attnctl_case.write_model(f"{path}.new", frontend=None, input_dim=4, seed=2)
            os.rename(f"{path}.new", path)
            daemon.reload()
            one_by_one(client, client.open(model="one")["stream"], 0, 5, 4)
            one_by_one(client, old, 3, 1, 4)
            self.assertEqual(counted(), (9, 2))
            os.remove(path)
            daemon.reload()
            one_by_one(client, old, 4, 1, 4)
            self.assertEqual(counted(), (10, 2))
            self.assertEqual(client.request("stats")["served_models"], 0)
            attnctl_case.write_model(path, frontend=None, input_dim=4)
            daemon.reload()
            one_by_one(client, client.open(model="one")["stream"], 0, 1, 4)
            self.assertEqual(counted(), (11, 3))

    def test_without_detail_there_are_no_histograms(self):
        with Daemon("--models", self.folder_of_models("one")) as daemon, daemon.client() as client:
            stats = client.request("stats")
            self.assertEqual([model["model"] for model in stats["models"]], ["one"])
            self.assertNotIn("histogram", stats["models"][0])
            self.assertIs(stats["more"], False)
            for params in ({"detail": 1}, {"after": 1}):
                with self.assertRaises(RpcError) as caught:
                    client.request("stats", **params)
                self.assertEqual(caught.exception.name, "bad_params")

    def test_models_that_fit_no_message_come_in_parts(self):
        names = [f"model-{i:02}-{'x' * 80}" for i in range(40)]
        folder = self.folder_of_models(*names)
        with Daemon("--shards", "1", "--models", folder, config="[limits]\nmessage_bytes = 12288\n") as daemon:
            with daemon.client() as client:
                for name in names:
                    one_by_one(client, client.open(model=name)["stream"], 0, 1, 4)
                told, after, parts = [], {}, 0
                while True:
                    answer = client.request("stats", detail=True, **after)
                    self.assertEqual("shards" in answer, not after)
                    told += answer["models"]
                    after = {"after": told[-1]["model"]}
                    parts += 1
                    if not answer["more"]:
                        break
                self.assertGreater(parts, 3)
                self.assertEqual([model["model"] for model in told], names)
                self.assertEqual([model["outputs"] for model in told], [1] * 40)
                self.assertEqual(client.request("stats", after="zzz"), {"models": [], "more": False})

    def test_pages_of_streams_keep_within_the_values_of_a_message(self):
        n, listed = 1500, []
        with Daemon("--models", self.folder_of_models("m" * 200),
                    config="[limits]\nstreams_per_connection = 2000\nmessage_bytes = 4M\n") as daemon:
            with daemon.client() as client:
                ids = [client.ask("open", model="m" * 200, name=f"{i:064}") for i in range(n)]
                for number in ids:
                    client.answer(number)
                more = True
                while more:
                    page = client.request("streams", after=listed[-1]["stream"] if listed else 0)
                    self.assertLess(elements(page) + 4, MAX_ELEMENTS)
                    listed += page["streams"]
                    more = page["more"]
        self.assertEqual([stream["name"] for stream in listed], [f"{i:064}" for i in range(n)])

    def test_frames_that_wait_are_in_the_queue_until_they_are_settled(self):
        config = "[limits]\nunsent_bytes = 4096\nstreams_per_connection = 200\n"
        with Daemon("--shards", "1", config=config) as daemon, daemon.client() as slow, daemon.client() as other:
            frames = numpy.zeros((64, 3 * 64))
            streams = [slow.open_attention(head_dim=64)["stream"] for _ in range(40)]
            slow.socket.setblocking(False)
            data = harness.frames_bytes(frames)
            unsent = b"".join(harness.pack([2, "push", [stream, 0, data]]) for stream in streams)

            def push_on():
                nonlocal unsent
                try:
                    while unsent:
                        unsent = unsent[slow.socket.send(unsent):]
                except BlockingIOError:
                    pass

            def waiting():
                stats = other.request("stats")
                self.assertEqual(stats["shards"][0]["queue"], stats["queue"])
                return stats["queue"]

            def infos():
                return [other.request("info", stream=stream) for stream in streams]

            def stands_still():             # nobody reads, so the daemon takes no more at some time
                push_on()
                before, after = infos(), infos()
                return any(info["queue"] for info in after) and [info["outputs"] for info in before] == [
                    info["outputs"] for info in after]

            until(stands_still)
            self.assertGreater(waiting(), 0)
            held = next(info for info in infos() if info["queue"])
            self.assertGreater(other.request("info", stream=held["stream"])["oldest_wait_us"], held["oldest_wait_us"])
            self.assertEqual(held["queue"], held["frames"] - held["outputs"])
            slow.socket.close()
            until(lambda: waiting() == 0)     # nobody holds them any more: they are computed
            stats = other.request("stats")
            self.assertEqual(stats["frames"], sum(stats[key] for key in ("outputs", "refused", "dropped", "skipped")))
            self.assertEqual(stats["shards"][0]["oldest_wait_us"], 0)

    def test_info_tells_what_was_agreed_and_who_holds_it(self):
        with Daemon() as daemon, daemon.client() as other:
            client = daemon.client()
            opened = client.request("open", attention={"method": "exact", "window": 4, "heads": 1, "head_dim": 2},
                                    name="kitchen", rate=12.5, deadline_ms=40000, late="drop-oldest")
            client.output_widths[opened["stream"]] = 2
            client.push(opened["stream"], 0, numpy.zeros((3, 6)))
            client.outputs(3)
            info = other.request("info", name="kitchen")
            self.assertEqual((info["rate"], info["deadline_ms"], info["late"]), (12.5, 40000, "drop-oldest"))
            self.assertEqual([info[key] for key in COUNTS], [3, 3, 0, 0, 0, 0])
            self.assertEqual((info["queue"], info["oldest_wait_us"]), (0, 0))
            self.assertEqual((info["parked"], info["parked_s"]), (False, 0))
            self.assertLessEqual(info["idle_s"], info["age_s"])
            client.socket.close()
            until(lambda: other.request("info", name="kitchen")["parked"])
            stats = other.request("stats")
            self.assertEqual((stats["parked"], sum(shard["parked"] for shard in stats["shards"])), (1, 1))
            self.assertEqual([stream["parked"] for stream in other.request("streams")["streams"]], [True])

    def test_every_key_of_shards_and_models_is_in_the_page(self):
        with open(os.path.join(SRCDIR, "man", "attnd-protocol.7"), encoding="utf-8") as file:
            about = file.read().split(".It Cm stats ")[1].split("\n.Pp\n.Cm reset , close")[0]
        with Daemon() as daemon, daemon.client() as client:
            client.open_attention()
            stats = client.request("stats", detail=True)
        shard, model = stats["shards"][0], stats["models"][0]
        for key in {*shard, *shard["lag_us"], *model, *model["shards"][0]}:
            self.assertRegex(about, rf"\b{key}\b")


class Log(unittest.TestCase):
    @staticmethod
    def most_lines(begun_s):
        """Ten a second, and those of the seconds that were not over at the beginning and are not now."""
        return 10 * (time.monotonic() - begun_s + 2)

    def test_a_flood_of_refusals_leaves_few_lines_which_tell_of_all(self):
        n = 3000
        config = "[limits]\nstreams = 1\n"
        with Daemon("--shards", "1", config=config) as daemon, daemon.client() as client:
            client.open_attention()
            attention = {"method": "exact", "window": 4, "heads": 1, "head_dim": 2}
            begun_s = time.monotonic()
            for number in [client.ask("open", attention=attention) for _ in range(n)]:
                with self.assertRaises(RpcError) as caught:
                    client.answer(number)
                self.assertEqual(caught.exception.name, "over_capacity")

            def told():
                lines = daemon.log().splitlines()
                refused = [line for line in lines if "was refused: over_capacity" in line]
                rest = [int(re.search(r"(\d+) more lines", line).group(1)) for line in lines if "left out" in line]
                self.assertLessEqual(len(refused), self.most_lines(begun_s))
                return len(refused) + sum(rest)
            until(lambda: told() == n)

    def test_who_is_turned_away_is_named_and_a_storm_of_them_is_not(self):
        n = 300
        with Daemon(config="[limits]\nconnections = 1\n") as daemon, daemon.client() as client:
            client.request("ping")
            begun_s = time.monotonic()
            others = [harness.socket_connect(daemon.socket) for _ in range(n)]      # root has some connections more
            until(lambda: client.request("stats")["errors"].get("server_full", 0) >= n - 10)
            self.assertRegex(daemon.log(), r"a client \(uid \d+, pid \d+\) was turned away: server_full: ")
            self.assertLessEqual(daemon.log().count("was turned away"), self.most_lines(begun_s))
            for other in others:
                other.close()

    def test_what_an_operator_looks_for_is_one_line(self):
        with Daemon(config="[timeouts]\npark_ms = 100\n") as daemon:
            with daemon.client() as client, daemon.client() as other:
                killed = client.open_attention(name="kitchen")["stream"]
                other.request("kill", stream=killed, reason="too loud")
                self.assertRegex(daemon.log(), rf"stream {killed} kitchen \(uid \d+\) killed: by uid \d+: too loud")
                parked = client.open_attention()["stream"]
                client.send(b"\x00\x00\x00\x01\xc1")
                until(lambda: re.search(r"connection \d+ \(uid \d+, pid \d+\) ends: bad_message: ", daemon.log()))
                until(lambda: re.search(rf"stream {parked} \(uid \d+\) expired: ", daemon.log()))


if __name__ == "__main__":
    harness.main()
