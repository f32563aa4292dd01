# SPDX-License-Identifier: MIT
"""SIGHUP: models are read again, and running streams notice nothing."""
import os
import re
import signal
import sys

import numpy

import harness
from harness import SANITIZERS, SRCDIR, Daemon, RpcError, until
from reload_case import GOLDEN, REFUSED, ReloadCase, golden_file, with_not_a_number

sys.path.insert(0, os.path.join(SRCDIR, "tests", "golden"))
import safetensors  # noqa: E402  (of the golden tests' folder)


class Models(ReloadCase):
    def rows(self, client, opened, inputs, first=0):
        client.push(opened["stream"], first, inputs)
        return client.outputs(len(inputs))

    def check_golden(self, client, name, model):
        """A new stream of `name` has the outputs of the golden `model`."""
        opened = client.open(model=name)
        inputs = numpy.load(os.path.join(GOLDEN, f"{model}.input.npy")).astype("<f4")
        expected = numpy.load(os.path.join(GOLDEN, f"{model}.scores.npy"))
        rows = self.rows(client, opened, inputs)
        numpy.testing.assert_allclose(numpy.array([rows[i] for i in range(len(inputs))]), expected, atol=2e-5)
        client.request("close", stream=opened["stream"])

    def names(self, client):
        return [model["name"] for model in client.request("models")["models"]]

    def hash_of(self, client, name):
        return client.request("models", model=name)["models"][0]["hash"]

    def test_models_come_change_and_go_while_a_stream_runs(self):
        inputs = numpy.load(os.path.join(GOLDEN, "exact-post.input.npy")).astype("<f4")
        expected = numpy.load(os.path.join(GOLDEN, "exact-post.scores.npy"))
        self.put_model("m", "exact-post")
        with Daemon("--models", self.models) as daemon, daemon.client() as client:
            first_hash = self.hash_of(client, "m")
            undisturbed = client.open(model="m")
            without = self.rows(client, undisturbed, inputs)
            stream = client.open(model="m")
            rows = self.rows(client, stream, inputs[:10])
            self.put_model("n", "nystrom-post")
            self.assertIn(f"model 'n' from {self.models}/n.safetensors", self.reload(daemon))
            self.assertEqual(self.names(client), ["m", "n"])
            self.check_golden(client, "n", "nystrom-post")
            rows.update(self.rows(client, stream, inputs[10:20], 10))
            self.put_model("m", "exact-wide")       # 33 outputs in place of 5
            self.assertIn("it replaces the older one for new streams", self.reload(daemon))
            self.assertNotEqual(self.hash_of(client, "m"), first_hash)
            self.check_golden(client, "m", "exact-wide")
            self.check_golden(client, "n", "nystrom-post")
            rows.update(self.rows(client, stream, inputs[20:30], 20))
            self.remove_model("m")
            self.assertIn("model 'm' is no longer served", self.reload(daemon))
            self.assertEqual(self.names(client), ["n"])
            with self.assertRaises(RpcError) as caught:
                client.open(model="m")
            self.assertEqual(caught.exception.name, "unknown_model")
            rows.update(self.rows(client, stream, inputs[30:], 30))
            with daemon.client() as other:
                self.assertEqual(other.hello["models"], ["n"])
            for number, row in without.items():
                self.assertEqual(rows[number].tobytes(), row.tobytes(), f"frame {number}")
            numpy.testing.assert_allclose(rows[len(inputs) - 1], expected[-1], atol=2e-5)

    def test_a_stream_is_attached_again_with_the_model_that_it_was_opened_with(self):
        inputs = numpy.load(os.path.join(GOLDEN, "exact-post.input.npy")).astype("<f4")
        self.put_model("m", "exact-post")
        with Daemon("--models", self.models, "--shards", "2") as daemon, daemon.client() as client:
            without = self.rows(client, client.open(model="m"), inputs)
            with daemon.client() as first:
                stream = first.open(model="m")
                rows = self.rows(first, stream, inputs[:20])
            self.remove_model("m")
            self.put_model("n", "exact-wide")
            self.reload(daemon)
            with daemon.client() as second:
                attached = second.request("attach", stream=stream["stream"], token=stream["token"])
                self.assertEqual((attached["next_frame"], attached["output_dim"]), (20, 5))
                second.output_widths[stream["stream"]] = 5
                rows.update(self.rows(second, stream, inputs[20:], 20))
            for number, row in without.items():
                self.assertEqual(rows[number].tobytes(), row.tobytes(), f"frame {number}")

    def test_what_did_not_change_is_not_read_again(self):
        self.put_model("m", "exact-post")
        with Daemon("--models", self.models) as daemon:
            self.assertNotIn("model '", self.reload(daemon))
            os.utime(os.path.join(self.models, "m.safetensors"))
            self.assertNotIn("model '", self.reload(daemon))     # read, and found to be the same
            self.put_model("m", "exact-pre")
            self.assertIn("model 'm'", self.reload(daemon))

    def test_a_file_that_breaks_leaves_its_older_model_in_place(self):
        self.put_model("m", "exact-post")
        broken = with_not_a_number(golden_file("exact-wide"))
        with Daemon("--models", self.models) as daemon, daemon.client() as client:
            first_hash = self.hash_of(client, "m")
            for data, why in ((broken, "head.bias: value 32, at offset 123736, is NaN"),
                              (golden_file("exact-wide")[:5000], "embed.weight: .* offset 2728"), (b"", "has 0 bytes")):
                self.put_model("m", data)
                self.put_model("new", data)
                log = self.reload(daemon)
                self.assertRegex(log, rf"error: model \S+/m.safetensors is not valid, and the one that was read before stays: "
                                      rf".*{why}")
                self.assertRegex(log, rf"error: model \S+/new.safetensors is not served: .*{why}")
                self.assertEqual(self.names(client), ["m"])
                self.assertEqual(self.hash_of(client, "m"), first_hash)
                self.check_golden(client, "m", "exact-post")
            self.put_model("m", "exact-wide")
            self.remove_model("new")
            self.reload(daemon)
            self.check_golden(client, "m", "exact-wide")

    def test_a_file_that_is_truncated_in_place_hurts_nobody(self):
        self.put_model("m", "exact-wide")
        with Daemon("--models", self.models) as daemon, daemon.client() as client:
            os.truncate(os.path.join(self.models, "m.safetensors"), 100)
            self.check_golden(client, "m", "exact-wide")
            self.reload(daemon)
            self.check_golden(client, "m", "exact-wide")

    def test_what_could_not_start_is_not_reloaded(self):
        """A file or directory that was asked for by name: as at the start, that is a mistake of the configuration."""
        self.put_model("m", "exact-post")
        path = os.path.join(self.models, "m.safetensors")
        with Daemon(config=f"[models]\ndirectories =\nfiles = {path}\n") as daemon, daemon.client() as client:
            for text in (f"[models]\ndirectories =\nfiles = {path}:{self.path('missing.safetensors')}\n[limits]\nstreams = 9\n",
                         f"[models]\ndirectories = {self.path('missing')}\n[limits]\nstreams = 9\n"):
                self.write(daemon.config, text)
                self.assertIn("missing", self.reload(daemon, REFUSED))
                self.assertEqual(self.names(client), ["m"])
                with daemon.client() as other:
                    self.assertEqual(other.hello["limits"]["max_streams"], 20000)
            self.write(daemon.config, f"[models]\ndirectories = {self.models}\n")
            self.assertNotIn("model '", self.reload(daemon))     # the same file, asked for in another way
            self.assertEqual(self.names(client), ["m"])


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * 1024


class Load(ReloadCase):
    STREAMS, RELOADS, FRAMES = 8, 100, 6     # frames of each stream for each reload

    def drive(self, daemon, between):
        """{stream: rows}: 8 streams on two connections, some of a model and some raw; `between` is called while frames are
        under way, RELOADS times."""
        generator = numpy.random.default_rng(5)
        clients = [daemon.client() for _ in range(2)]
        opened = []
        for number in range(self.STREAMS):
            client = clients[number % 2]
            opened.append((client, client.open(model="m") if number < 6 else
                           client.open_attention(method="nystrom", window=12, landmarks=4, heads=2, head_dim=4)))
        outputs = [[] for _ in opened]
        for step in range(self.RELOADS):
            for client, stream in opened:
                frames = generator.standard_normal((self.FRAMES, stream["input_dim"])).astype("<f4")
                client.push(stream["stream"], step * self.FRAMES, frames)
            between(step, clients)
            for number, client in enumerate(clients):
                rows = {}
                mine = [i for i in range(self.STREAMS) if i % 2 == number]
                streams = {opened[i][1]["stream"]: i for i in mine}
                while len(rows) < len(mine) * self.FRAMES:
                    method, params = client.notification()
                    self.assertEqual(method, "output", params)
                    width = client.output_widths[params[0]]
                    for index, row in enumerate(numpy.frombuffer(params[2], dtype="<f4").reshape(-1, width)):
                        rows[streams[params[0]], params[1] + index] = row.tobytes()
                for i in mine:
                    outputs[i] += [rows[i, step * self.FRAMES + k] for k in range(self.FRAMES)]
        for client, stream in opened:
            counts = client.request("close", stream=stream["stream"])
            self.assertEqual(counts["outputs"], self.RELOADS * self.FRAMES)
            self.assertEqual((counts["refused"], counts["dropped"]), (0, 0))
        for client in clients:
            client.socket.close()
        return outputs

    def test_a_hundred_reloads_change_no_bit_and_leave_nothing_behind(self):
        self.put_model("m", "nystrom-2")
        with Daemon("--models", self.models) as daemon:
            expected = self.drive(daemon, lambda step, clients: None)

        def change(step, clients):
            del clients
            self.put_model("m", "exact-wide" if step % 2 == 0 else "nystrom-post")
            if step % 2 == 0:
                self.put_model("extra", "exact-post")
            else:
                self.remove_model("extra")
            self.write(daemon.config, f"[limits]\nstreams = {1000 + step}\nstreams_per_connection = {50 + step % 2}\n"
                                      f"unsent_bytes = {64 + step % 2}K\n[timeouts]\nsend_ms = {5000 + step}\n")
            log = self.reload(daemon)
            self.assertIn("model 'm'", log)
            with daemon.client() as client:
                self.assertEqual(client.hello["models"], ["extra", "m"] if step % 2 == 0 else ["m"])
                self.assertEqual(client.hello["limits"]["max_streams"], 1000 + step)
                opened = client.open(model="m")
                self.assertEqual(opened["output_dim"], 33 if step % 2 == 0 else 5)
                client.request("close", stream=opened["stream"])
            if step == 20:
                baseline.extend([daemon.descriptors(), resident_bytes(daemon.pid)])

        baseline = []
        self.put_model("m", "nystrom-2")
        with Daemon("--models", self.models, config="[limits]\nunsent_bytes = 64K\n") as daemon:
            self.assertEqual(self.drive(daemon, change), expected)
            with daemon.client() as client:
                stats = client.request("stats")
                self.assertEqual(stats["streams"], 0)
                self.assertEqual(stats["outputs"], self.STREAMS * self.RELOADS * self.FRAMES)
                self.assertEqual((stats["refused"], stats["dropped"]), (0, 0))
            until(lambda: daemon.descriptors() <= baseline[0], "a descriptor is left behind")
            if not SANITIZERS:      # they keep what is freed
                self.assertLess(resident_bytes(daemon.pid) - baseline[1], 4 << 20)


class LargeModels(ReloadCase):
    def large_model(self):
        """32 MiB of feed-forward weights."""
        width, inner = 256, 16384
        tensors = {}
        for name, rows, columns in [(f"blocks.0.{part}", width, width) for part in "qkvo"] + \
                [("blocks.0.ff1", inner, width), ("blocks.0.ff2", width, inner)]:
            tensors[f"{name}.weight"] = numpy.full((rows, columns), 0.01)
            tensors[f"{name}.bias"] = numpy.zeros(rows)
        for name in ("blocks.0.norm1", "blocks.0.norm2", "norm"):
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = numpy.ones(width), numpy.zeros(width)
        return safetensors.to_bytes({"version": 1, "input_dim": width, "model_dim": width, "heads": 4, "window": 8,
                                     "positions": 0, "residual_tap": "newest", "norm": "post", "activation": "relu",
                                     "head": "identity", "layers": [{"method": "exact"}]}, tensors)

    def test_frames_and_new_clients_are_served_while_models_load(self):
        self.put_model("a", "exact-post")
        with Daemon("--models", self.models) as daemon, daemon.client() as client:
            stream = client.open(model="a")
            self.put_model("large", self.large_model())
            for number in range(7):     # other names of one file: each is loaded for itself
                os.link(os.path.join(self.models, "large.safetensors"), os.path.join(self.models, f"l{number}.safetensors"))
            self.reload_meanwhile(daemon, client, stream)
            while self.n_meanwhile == 0:        # it was faster than this test: once more
                for name in os.listdir(self.models):
                    os.utime(os.path.join(self.models, name))
                self.reload_meanwhile(daemon, client, stream)
            with daemon.client() as other:
                self.assertEqual(len(other.hello["models"]), 9)

    n_frames = n_meanwhile = 0

    def reload_meanwhile(self, daemon, client, stream):
        """Pushes a frame and says hello again and again; n_meanwhile counts how often both were answered in the midst of it."""
        before = self.log_of_start(daemon)

        def has_logged(words):
            return words in daemon.log()[len(before):]
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: has_logged("SIGHUP"))
        is_done = False
        while not is_done:
            client.push(stream["stream"], self.n_frames, numpy.zeros((1, stream["input_dim"])))
            client.outputs(1)
            self.n_frames += 1
            with daemon.client() as other:
                self.assertIn(len(other.hello["models"]), (1, 9))       # all at once
            is_done = has_logged("was read again")
            self.n_meanwhile += not is_done
        self.wait(daemon, before)


if __name__ == "__main__":
    harness.main()
