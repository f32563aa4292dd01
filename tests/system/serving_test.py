# SPDX-License-Identifier: MIT
"""Models through the socket: each golden model is served under its name, with its outputs of every kind."""
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

import numpy

import harness
from harness import SRCDIR, Daemon, RpcError

GOLDEN = os.path.join(SRCDIR, "tests", "golden", "encoder")


class Serving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.names = sorted(os.path.basename(path)[:-len(".safetensors")] for path in glob.glob(f"{GOLDEN}/*.safetensors"))
        cls.daemon = Daemon("--models", GOLDEN, "--shards", "2")
        cls.daemon.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def test_hello_and_models_list_what_is_served(self):
        with self.daemon.client() as client:
            self.assertEqual(client.hello["models"], self.names)
            models = client.request("models")["models"]
            self.assertEqual([model["name"] for model in models], self.names)
            for model in models:
                opened = client.request("open", model=model["name"])
                for key in ("input_dim", "output_dim", "labels", "replay_frames", "state_bytes", "warming_frames"):
                    self.assertEqual(opened[key], model[key], key)

    def test_every_kind_of_output_is_the_golden_one(self):
        with self.daemon.client() as client:
            for name in self.names:
                inputs = numpy.load(f"{GOLDEN}/{name}.input.npy").astype("<f4")
                for kind in ("scores", "logits", "embedding"):
                    expected = numpy.load(f"{GOLDEN}/{name}.{kind}.npy")
                    stream = client.open(model=name, output=kind)
                    rows, step = {}, stream["credit"]
                    for first in range(0, len(inputs), step):
                        client.push(stream["stream"], first, inputs[first:first + step])
                        rows.update(client.outputs(len(inputs[first:first + step])))
                    received = numpy.array([rows[i] for i in range(len(inputs))])
                    tolerance = 2e-5 * max(1, numpy.abs(expected).max())
                    numpy.testing.assert_allclose(received, expected, atol=tolerance, err_msg=f"{name} {kind}")
                    client.request("close", stream=stream["stream"])

    def test_a_model_file_serves_one_model_alone(self):
        name = self.names[0]
        no_models = os.path.dirname(harness.__file__)
        with Daemon("--model", f"{GOLDEN}/{name}.safetensors", "--models", no_models) as daemon, daemon.client() as client:
            self.assertEqual(client.hello["models"], [name])
            with self.assertRaises(RpcError) as caught:
                client.request("open", model="other")
            self.assertIn("1 that are served", caught.exception.error["message"])


class PathWithAColon(unittest.TestCase):
    def test_a_path_on_the_command_line_is_one_path_and_checks_as_one(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        name = os.path.basename(sorted(glob.glob(f"{GOLDEN}/*.safetensors"))[0])
        parts = [os.path.join(folder, part) for part in ("12:30", "a")]
        for part in parts:
            os.mkdir(part)
        shutil.copy(os.path.join(GOLDEN, name), os.path.join(parts[0], "of:noon.safetensors"))
        shutil.copy(os.path.join(GOLDEN, name), parts[1])
        with Daemon("--model", f"{parts[0]}/of:noon.safetensors", "--models", parts[1]) as daemon, daemon.client() as client:
            self.assertEqual(client.hello["models"], sorted(["of:noon", name[:-len(".safetensors")]]))
        checked = subprocess.run([harness.ATTND, "--check", "--models", parts[0]], capture_output=True, text=True, check=True)
        with Daemon(config=checked.stdout) as daemon, daemon.client() as client:
            self.assertEqual(client.hello["models"], ["of:noon"])


class TwoOfOneName(unittest.TestCase):
    def test_the_second_is_named_and_left_out(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        first, second = os.path.join(folder, "a"), os.path.join(folder, "b")
        shutil.copytree(GOLDEN, first)
        shutil.copytree(GOLDEN, second)
        with Daemon("--models", first, "--models", second) as daemon, daemon.client() as client:
            self.assertEqual(len(set(client.hello["models"])), len(client.hello["models"]))
            self.assertIn("rename one of them", daemon.log())


if __name__ == "__main__":
    harness.main()
