# SPDX-License-Identifier: MIT
"""Who is admitted, and what becomes of measured costs. A file of costs that says that a frame takes long makes it so for
the daemon, whatever this machine is."""
import contextlib
import os
import re
import shutil
import tempfile
import unittest

import numpy

import harness
from harness import SRCDIR, Daemon, RpcError

MODEL = os.path.join(SRCDIR, "etc", "models", "sounds.safetensors")
NAME = "sounds"


class States(unittest.TestCase):
    """Each test has a state directory, and daemons that keep their costs there."""

    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="attnd-state-")
        self.file = os.path.join(self.state, "costs")
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)

    def daemon(self, *arguments, config="[admission]\nload_percent = 75\n"):
        return Daemon("--model", MODEL, "--shards", "1", *arguments, config=config,
                      environment={"STATE_DIRECTORY": self.state})

    def text(self):
        with open(self.file, encoding="utf-8") as file:
            return file.read()

    def write(self, text):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)

    def prepare(self, frame_ns):
        """Costs as if a frame took so long, alone or among others."""
        with self.daemon():
            pass
        text, n_values = re.subn(r"(batch_\d+) = \d+", rf"\1 = {frame_ns}", self.text())
        self.assertGreater(n_values, 0)
        self.write(re.sub(r"overhead = \d+", "overhead = 0", text))


class Admission(States):
    def refused(self, client, **params):
        with self.assertRaises(RpcError) as caught:
            client.open(model=NAME, **params)
        self.assertEqual(caught.exception.name, "over_capacity")
        return caught.exception.error

    def serves(self, client, opened):
        client.push(opened["stream"], opened["next_frame"], numpy.zeros((1, opened["input_dim"])))
        self.assertEqual(len(client.outputs(1)), 1)

    def test_a_rate_is_refused_where_it_is_not_left_and_told_what_is(self):
        self.prepare(10_000_000)
        with self.daemon() as daemon, daemon.client() as client:
            client.open(model=NAME, rate=50)
            error = self.refused(client, rate=50)
            self.assertIn("50 frames/s take 50 % of a shard", error["message"])
            self.assertIn("25 % (25 frames/s) on the best shard", error["message"])
            self.assertIn("try again in", error["message"])
            self.assertAlmostEqual(error["left_shard"], 25, places=3)
            self.assertAlmostEqual(error["left_all"], 25, places=3)
            self.assertEqual(error["retry_ms"], 1000)
            client.open(model=NAME, rate=25)
            self.assertEqual(client.request("stats")["errors"]["over_capacity"], 1)

    def test_what_no_shard_could_ever_take_is_not_to_be_tried_again(self):
        self.prepare(10_000_000)
        with self.daemon() as daemon, daemon.client() as client:
            error = self.refused(client, rate=76)
            self.assertIn("lower the rate", error["message"])
            self.assertNotIn("retry_ms", error)
            client.open(model=NAME, rate=75)

    def test_a_stream_that_closes_makes_room(self):
        self.prepare(10_000_000)
        with self.daemon() as daemon, daemon.client() as client:
            for _ in range(5):
                opened = client.open(model=NAME, rate=70)
                self.refused(client, rate=10)
                client.request("close", stream=opened["stream"])
            client.open(model=NAME, rate=75)

    def test_streams_without_a_rate_are_never_refused(self):
        self.prepare(10_000_000)
        with self.daemon() as daemon, daemon.client() as client:
            promised = client.open(model=NAME, rate=75)
            unpromised = [client.open(model=NAME) for _ in range(5)]
            self.refused(client, rate=1)
            for opened in [promised, *unpromised]:
                self.serves(client, opened)

    def test_another_shard_has_room(self):
        self.prepare(10_000_000)
        with self.daemon("--shards", "2") as daemon, contextlib.ExitStack() as stack:
            one = stack.enter_context(daemon.client())
            one.open(model=NAME, rate=50)
            error = self.refused(one, rate=50)
            self.assertIn("on a new connection", error["message"])
            self.assertAlmostEqual(error["left_shard"], 75, places=3)
            self.assertAlmostEqual(error["left_all"], 100, places=3)
            self.assertEqual(error["retry_ms"], 0)
            two = stack.enter_context(daemon.client())
            two.open(model=NAME, rate=50)
            self.assertAlmostEqual(self.refused(two, rate=50)["left_all"], 50, places=3)

    def test_a_stream_that_moves_to_another_shard_takes_its_claim_along(self):
        self.prepare(10_000_000)
        with self.daemon("--shards", "2") as daemon, contextlib.ExitStack() as stack:
            one, two = (stack.enter_context(daemon.client()) for _ in range(2))
            moved = one.open(model=NAME, rate=40)
            two.open(model=NAME, rate=40)
            self.refused(one, rate=40)
            two.request("attach", stream=moved["stream"], token=moved["token"])
            one.open(model=NAME, rate=75)
            self.assertAlmostEqual(self.refused(two, rate=1)["left_all"], 0, places=3)
            two.request("close", stream=moved["stream"])
            two.open(model=NAME, rate=35)

    def test_a_deadline_that_cannot_be_kept(self):
        self.prepare(10_000_000)
        with self.daemon() as daemon, daemon.client() as client:
            message = self.refused(client, rate=1, deadline_ms=11)["message"]
            self.assertIn("a deadline of 11 ms cannot be kept", message)
            client.open(model=NAME, rate=1, deadline_ms=13)

    def test_the_share_is_configured(self):
        self.prepare(10_000_000)
        with self.daemon(config="[admission]\nload_percent = 20\n") as daemon, daemon.client() as client:
            self.refused(client, rate=21)
            client.open(model=NAME, rate=20)

    def test_an_attention_is_measured_when_it_is_opened(self):
        shape = {"method": "nystrom", "window": 64, "landmarks": 8, "heads": 2, "head_dim": 16}
        with self.daemon() as daemon, daemon.client() as client:
            opened = client.open(attention=shape, rate=1)
            self.assertGreater(client.request("info", stream=opened["stream"])["cost_us"], 0)
            with self.assertRaises(RpcError) as caught:
                client.open(attention=shape, rate=1e9)
            self.assertEqual(caught.exception.name, "over_capacity")
        self.assertIn("[attention ", self.text())


class Groups(States):
    N_STREAMS = 16

    def batches(self):
        """How many batches a frame of each stream took, all sent together."""
        with self.daemon() as daemon, daemon.client() as client:
            opened = [client.open(model=NAME) for _ in range(self.N_STREAMS)]
            frame = harness.frames_bytes(numpy.zeros((1, opened[0]["input_dim"])))
            client.send(b"".join(harness.pack([2, "push", [one["stream"], 0, frame]]) for one in opened))
            for one in opened:
                self.assertEqual(client.notification()[1][1], 0)
            return client.request("stats")["batches"]

    def test_what_takes_long_is_computed_alone(self):
        self.prepare(10_000_000)
        self.assertEqual(self.batches(), self.N_STREAMS)

    def test_what_takes_little_is_computed_together(self):
        self.prepare(1000)
        self.assertLess(self.batches(), self.N_STREAMS / 2)


class DearFrames(States):
    """A frame is computed whole, and others wait for it."""

    def config(self, frame_ms):
        return f"[limits]\nframe_ms = {frame_ms}\n"

    def test_a_model_whose_frames_take_too_long_is_refused_with_the_figure_and_the_key(self):
        self.prepare(15_000_000)
        self.write(re.sub(r"worst_percent = \d+", "worst_percent = 200", self.text()))
        self.assertIn("worst_percent = 200", self.text())
        with self.daemon(config=self.config(20)) as daemon, daemon.client() as client:
            with self.assertRaises(RpcError) as caught:
                client.open(model=NAME)
            self.assertEqual(caught.exception.name, "limit_exceeded")
            self.assertIn("30.0 ms", str(caught.exception))
            self.assertIn("the limit is 20 ms", str(caught.exception))
            self.assertIn("raise frame_ms in [limits]", str(caught.exception))
            self.assertEqual(client.request("streams")["streams"], [])
            client.open_attention()         # others are served
            daemon.reload(self.config(30))
            client.open(model=NAME)
        self.assertIn("worst_percent = 200", self.text())

    def test_the_bundled_model_is_served_as_it_is(self):
        with self.daemon(config="") as daemon, daemon.client() as client:
            client.open(model=NAME)
        self.assertRegex(self.text(), r"worst_percent = \d+")


class Costs(States):
    def test_they_are_measured_once_and_kept(self):
        with self.daemon() as daemon, daemon.client() as client:
            self.assertIn("costs of 1 models measured", daemon.log())
            measured = client.request("models")["models"][0]
            self.assertGreater(measured["cost_us"], 0)
            self.assertLessEqual(measured["cost_us_batched"], measured["cost_us"])
        with self.daemon() as daemon, daemon.client() as client:
            self.assertIn("nothing to measure", daemon.log())
            again = client.request("models")["models"][0]
            self.assertAlmostEqual(again["cost_us"], measured["cost_us"], places=2)

    def test_a_damaged_file_is_told_and_replaced(self):
        for text in ("rubbish", "[costs]\nversion = 1\n", "\0" * 100):
            self.write(text)
            with self.daemon() as daemon, daemon.client() as client:
                self.assertIn(f"{self.file} is damaged", daemon.log())
                self.assertIn("costs of 1 models measured", daemon.log())
                client.open(model=NAME, rate=1)
            with self.daemon() as daemon, daemon.client():
                self.assertIn("nothing to measure", daemon.log())

    def test_they_are_there_before_the_daemon_ends(self):
        with self.daemon() as daemon, daemon.client():
            self.assertRegex(self.text(), r"\[model [0-9a-f]{16} \w+ [^\]]+\]\nbatch_1 = \d+\n")
            self.assertEqual(os.listdir(self.state), ["costs"])

    def test_the_configuration_names_a_directory(self):
        config = f"[daemon]\nstate_directory = {self.state}\n"
        with Daemon("--model", MODEL, config=config) as daemon, daemon.client():
            pass
        self.assertIn("[model ", self.text())

    def test_a_directory_that_is_none_keeps_nobody_from_starting(self):
        shutil.rmtree(self.state)
        with self.daemon() as daemon, daemon.client() as client:
            client.open(model=NAME)
            self.assertIn("cannot be written", daemon.log())


if __name__ == "__main__":
    harness.main()
