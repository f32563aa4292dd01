# SPDX-License-Identifier: MIT
"""What happens at each limit: the one who meets it is told, with the number; the others are served."""
import contextlib
import glob
import os
import resource
import subprocess
import tempfile
import threading
import unittest

import numpy

import attnctl_case
import harness
from harness import PREFACE, Daemon, RpcError, pack, until

SMALL = {"method": "exact", "window": 4, "heads": 1, "head_dim": 2}


class Limits(unittest.TestCase):
    def refused(self, client, error, **params):
        with self.assertRaises(RpcError) as caught:
            client.request("open", **params)
        self.assertEqual(caught.exception.name, error)
        return caught.exception.error["message"]

    def test_streams_of_the_daemon_of_a_connection_and_their_bytes(self):
        with Daemon(config="[limits]\nstreams = 5\nstreams_per_connection = 3\nstate_bytes = 1M\n") as daemon:
            with daemon.client() as one, daemon.client() as two:
                opened = [one.open(attention=SMALL) for _ in range(3)]
                self.assertIn("holds 3 streams", self.refused(one, "over_capacity", attention=SMALL))
                message = self.refused(two, "over_capacity", attention={**SMALL, "window": 4096, "head_dim": 64})
                self.assertIn("of 1048576 are left", message)
                for _ in range(2):
                    two.open(attention=SMALL)
                self.assertIn("5 streams are open", self.refused(two, "over_capacity", attention=SMALL))
                one.request("close", stream=opened[0]["stream"])
                two.open(attention=SMALL)

    def test_fixed_landmarks_count_as_memory_of_their_stream(self):
        """Without them its state is the smaller one: the means of segments and what belongs to them lie in the state."""
        with Daemon() as daemon, daemon.client() as client:
            means = {"method": "nystrom", "window": 128, "landmarks": 8, "heads": 1, "head_dim": 64}
            landmarks = bytes(4 * 8 * 64)
            fixed = {**means, "landmark_policy": "fixed", "q_landmarks": landmarks, "k_landmarks": landmarks}
            self.assertGreater(client.open(attention=fixed)["state_bytes"], client.open(attention=means)["state_bytes"])

    def test_a_frame_that_fits_no_message(self):
        with Daemon(config="[limits]\nmessage_bytes = 4096\n") as daemon, daemon.client() as client:
            message = self.refused(client, "limit_exceeded", attention={**SMALL, "head_dim": 512})
            self.assertIn("1536 floats does not fit a message of 4096 bytes", message)
            client.open(attention={**SMALL, "head_dim": 256})
            client.send(b"\0\0\x10\x01")
            method, error = client.notification()
            self.assertEqual((method, error["name"]), ("error", "limit_exceeded"))
            self.assertIsNone(client.notification())

    def test_outputs_of_all_the_window_have_to_fit_a_message(self):
        attention = {"method": "exact", "window": 4095, "heads": 4, "head_dim": 16, "retroactive": True}
        with Daemon() as daemon, daemon.client() as client:
            opened = client.open(attention=attention)
            self.assertEqual((opened["output_dim"], opened["credit"], opened["window"]), (4095 * 64, 2, 4095))
            for larger in ({"window": 4096}, {"head_dim": 17}, {"window": 1 << 31}):
                message = self.refused(client, "limit_exceeded", attention={**attention, **larger})
                self.assertIn("of 1048576 bytes; use a smaller window", message)
            client.open(attention={**attention, "window": 4096, "retroactive": False})
        with Daemon(config="[limits]\nmessage_bytes = 4M\n") as daemon, daemon.client() as client:
            opened = client.open(attention={**attention, "method": "nystrom", "landmarks": 4, "window": 16383})
            self.assertEqual((opened["output_dim"], opened["credit"]), (16383 * 64, 2))
            client.push(opened["stream"], 0, numpy.ones((2, 192)))
            answers = client.outputs(2)
            numpy.testing.assert_allclose(answers[1].reshape(16383, 64)[-3:, 0], [0, 1, 1], atol=1e-6)

    def test_the_credit_of_outputs_of_all_the_window(self):
        attention = {"method": "nystrom", "window": 120, "landmarks": 7, "heads": 4, "head_dim": 16, "retroactive": True}
        with Daemon("--shards", "1") as daemon, daemon.client() as client:
            opened = client.open(attention=attention)
            self.assertEqual(opened["credit"], (1 << 20) // (4 * 120 * 64))
            ring = opened["credit"] * 4 * 120 * 64
            self.assertGreater(opened["state_bytes"], ring + 4 * 3 * 120 * 64)
            self.assertLess(opened["state_bytes"], 2 * ring)
            self.assertEqual(client.request("info", stream=opened["stream"])["output_dim"], 120 * 64)
            frames = numpy.random.default_rng(5).normal(size=(opened["credit"] + 1, 192)).astype("<f4")
            client.push(opened["stream"], 0, frames)
            method, error = client.notification()
            self.assertEqual((method, error["name"], error["frame"]), ("error", "credit_exceeded", opened["credit"]))
            answers = client.outputs(opened["credit"])
            client.push(opened["stream"], opened["credit"], frames[-1:])
            answers.update(client.outputs(1))
            client.push(opened["stream"], 1, frames[1:])        # all of the newest are kept
            again = client.outputs(opened["credit"])
            self.assertEqual({i: again[i].tobytes() for i in again}, {i: answers[i].tobytes() for i in answers if i > 0})

    def test_what_a_stream_computes_in_counts_where_it_is_much(self):
        """All rows of a window over landmarks: their products are far larger than the state."""
        attention = {"method": "nystrom", "window": 200000, "landmarks": 64, "heads": 1, "head_dim": 1, "retroactive": True}
        with Daemon(config="[limits]\nstate_bytes = 64M\n") as daemon, daemon.client() as client:
            self.assertIn("of 67108864 are left", self.refused(client, "over_capacity", attention=attention))
            client.open(attention={**attention, "retroactive": False})
        with Daemon() as daemon, daemon.client() as client:
            opened = client.open(attention=attention)
            self.assertGreater(opened["state_bytes"], 2 * 4 * 200000 * 64)
            client.push(opened["stream"], 0, numpy.ones((1, 3)))
            self.assertEqual(client.outputs(1)[0][-1], 1)

    def test_a_response_that_fits_no_message(self):
        """Streams come in pages that fit; what has no pages is refused, and the connection goes on."""
        with tempfile.TemporaryDirectory() as folder:
            model = sorted(glob.glob(os.path.join(harness.SRCDIR, "tests", "golden", "encoder", "*.safetensors")))[0]
            for i in range(30):
                os.symlink(model, os.path.join(folder, f"model-{i}.safetensors"))
            with Daemon("--models", folder, config="[limits]\nmessage_bytes = 4096\n") as daemon, daemon.client() as client:
                with self.assertRaises(RpcError) as caught:
                    client.request("models")
                self.assertEqual(caught.exception.name, "limit_exceeded")
                self.assertIn("4096 bytes", caught.exception.error["message"])
                self.assertEqual(client.request("models", model="model-7")["models"][0]["name"], "model-7")
                names = ["n" * 60 + str(i) for i in range(100)]
                for name in names:
                    client.open_attention(name=name)
                listed, more = [], True
                while more:
                    page = client.request("streams", after=listed[-1]["stream"] if listed else 0)
                    listed += page["streams"]
                    more = page["more"]
                self.assertEqual([stream["name"] for stream in listed], names)

    def test_a_connection_too_many_reads_server_full_and_not_a_bare_end(self):
        """The tests' user is an operator, who has four connections above the limit."""
        with Daemon(config="[limits]\nconnections = 3\n") as daemon:
            clients = [self.connect_patiently(daemon) for _ in range(7)]
            for _ in range(20):
                with daemon.client(hello=False) as extra:
                    method, error = extra.notification()
                    self.assertEqual((method, error["name"]), ("error", "server_full"))
                    self.assertIn("7 connections", error["message"])
                    self.assertIsNone(extra.notification())
            clients[0].socket.close()
            clients.append(self.connect_patiently(daemon))
            for client in clients[1:]:
                self.assertEqual(client.request("ping")["server"], "attnd")
                client.socket.close()

    def connect_patiently(self, daemon):
        def connected():
            client = daemon.client(hello=False)
            try:
                client.send(PREFACE)
                client.hello = client.request("hello", client="test", versions=[1])
                return client
            except (AssertionError, EOFError, OSError):
                client.socket.close()
                return None
        return until(connected, "there was never room again")

    def test_at_the_descriptor_limit_every_client_too_many_is_told(self):
        with Daemon("--shards", "1", wrapper=("prlimit", "--nofile=64:64")) as daemon:
            clients, refusals = [], 0
            for _ in range(300):
                client = daemon.client(hello=False)
                try:
                    client.send(PREFACE + pack([0, 1, "hello", {"client": "t", "versions": [1]}]))
                except OSError:
                    pass
                clients.append(client)
            for client in clients:
                message = client.read()
                self.assertIsNotNone(message, "a bare end of file")
                refusals += message[0] == 2 and message[2]["name"] == "server_full"
            self.assertGreaterEqual(refusals, 236)
            self.assertLess(refusals, 300)
            for client in clients:
                client.socket.close()
            self.connect_patiently(daemon).socket.close()

    def test_a_client_that_says_no_hello_is_ended(self):
        with Daemon(config="[timeouts]\nhello_ms = 100\n") as daemon, daemon.client(hello=False) as client:
            method, error = client.notification()
            self.assertEqual((method, error["name"]), ("error", "bad_order"))
            self.assertIn("100 ms", error["message"])
            self.assertIsNone(client.notification())

    def test_a_slow_reader_holds_back_itself_alone_and_loses_nothing(self):
        with Daemon("--shards", "1", config="[limits]\nunsent_bytes = 4096\n") as daemon:
            with daemon.client() as slow, daemon.client() as other:
                streams = [slow.open_attention(head_dim=64)["stream"] for _ in range(40)]
                pushing = threading.Thread(target=lambda: [slow.push(s, 0, numpy.zeros((64, 192))) for s in streams])
                pushing.start()
                stream = other.open_attention()["stream"]
                for number in range(200):
                    other.push(stream, number, numpy.zeros((1, 6)))
                    other.outputs(1)
                self.assertLess(other.request("stats")["outputs"], 200 + 40 * 64, "nothing was held back")
                read = [(params[0], params[1]) for method, params in (slow.notification() for _ in range(40 * 64))
                        if method == "output"]
                self.assertEqual(sorted(read), [(stream, number) for stream in streams for number in range(64)])
                pushing.join()

    def test_many_large_outputs_of_one_model_end_nobody_who_reads(self):
        """Streams that are computed together may all be of one client, whose outbox is small."""
        n_streams, labels = 64, [f"l{i}" for i in range(2000)]
        folder = self.enterContext(tempfile.TemporaryDirectory())
        attnctl_case.write_model(os.path.join(folder, "many.safetensors"), frontend=None, input_dim=8, labels=labels)
        config = "[limits]\nmessage_bytes = 32K\nunsent_bytes = 4096\n"
        with Daemon("--shards", "1", "--models", folder, config=config) as daemon, daemon.client() as client:
            streams = [client.open(model="many", output=("scores", "embedding")[i == 0])["stream"] for i in range(n_streams)]
            frames = harness.frames_bytes(numpy.ones((8, 8)))
            client.send(b"".join(pack([2, "push", [stream, 0, frames]]) for stream in streams))
            told = [client.notification() for _ in range(8 * n_streams)]
            self.assertEqual({method for method, _ in told}, {"output"})

    def test_a_client_that_reads_nothing_is_told_slow_consumer_and_closed(self):
        config = "[limits]\nunsent_bytes = 4096\n[timeouts]\nsend_ms = 1000\npark_ms = 0\n"
        with Daemon("--shards", "1", config=config) as daemon, daemon.client() as slow, daemon.client() as other:
            streams = [slow.open_attention(head_dim=256)["stream"] for _ in range(20)]
            before = daemon.descriptors()
            try:
                for stream in streams:
                    slow.push(stream, 0, numpy.zeros((64, 768)))
            except OSError:
                pass    # the daemon has given up before everything was sent
            stream = other.open_attention()["stream"]
            number = 0
            while not other.request("stats")["errors"]:
                other.push(stream, number, numpy.zeros((1, 6)))
                other.outputs(1)
                number += 1
            told = []
            while (message := slow.notification()) is not None:
                told.append(message)
            self.assertEqual((told[-1][0], told[-1][1]["name"]), ("error", "slow_consumer"))
            self.assertIn("1000 ms", told[-1][1]["message"])
            accepted = other.request("stats")["frames"] - number
            settled = sum(1 for m, _ in told if m == "output") + sum(
                p["count"] for m, p in told if m == "event" and p["event"] == "dropped")
            self.assertGreater(accepted, 64)
            self.assertEqual(settled, accepted, "a frame ended without a word")
            until(lambda: daemon.descriptors() < before, "its descriptor is left behind")

    def test_a_flood_of_requests_from_a_client_that_does_not_read_grows_nothing(self):
        config = "[limits]\nunsent_bytes = 64K\n[timeouts]\nsend_ms = 60000\n"
        with Daemon("--shards", "1", config=config) as daemon, daemon.client() as flood, daemon.client() as other:
            for _ in range(500):
                other.open(attention=SMALL)
            flood.socket.setblocking(False)
            request = pack([0, 1, "streams", {}]) * 1000
            sent = 0

            def is_held_back():
                """The daemon has done all that it can, and takes no more."""
                nonlocal sent
                before = sent
                with contextlib.suppress(BlockingIOError):
                    while sent < 64 << 20:
                        sent += flood.socket.send(request[sent % len(request):])
                daemon.settle()
                return sent == before
            until(is_held_back)
            self.assertLess(sent, 8 << 20)
            with open(f"/proc/{daemon.pid}/statm", encoding="ascii") as file:
                resident = int(file.read().split()[1]) * resource.getpagesize()
            if not harness.SANITIZERS:
                self.assertLess(resident, 64 << 20)
            self.assertEqual(other.request("ping")["server"], "attnd")

    def test_who_asks_for_much_at_once_lets_others_have_their_turn(self):
        large = {**SMALL, "window": 40000, "head_dim": 64}
        with Daemon("--shards", "1") as daemon, daemon.client() as greedy, daemon.client() as other:
            # Numbers rise by one, so what is opened can be closed without waiting for the answer.
            with daemon.stopped():      # so that it finds both at the same time
                greedy.send(b"".join(pack([0, 2 * i, "open", {"attention": large}]) +
                                     pack([0, 2 * i + 1, "close", {"stream": i}]) for i in range(1, 301)))
                stats = other.ask("stats")
            self.assertLess(other.answer(stats)["opened"], 300, "the others waited for all of it")
            self.assertIn("stream", greedy.answer(2))
            for i in range(1, 4):       # and all of it is done, in order
                self.assertEqual(greedy.answer(2 * i + 1)["frames"], 0)
                self.assertEqual(greedy.answer(2 * i + 2)["stream"], i + 1)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_a_user_who_asks_for_much_on_many_connections_lets_others_have_their_turn(self):
        with contextlib.ExitStack() as stack:
            daemon = stack.enter_context(Daemon("--shards", "1", config="[listen]\nmode = 0666\n"))
            os.chmod(daemon.folder, 0o755)
            os.seteuid(65534)
            try:
                greedy = [stack.enter_context(daemon.client()) for _ in range(20)]
            finally:
                os.seteuid(0)
            other = stack.enter_context(daemon.client())
            other.open(attention=SMALL)     # what its frames cost is known from here on
            with daemon.stopped():
                for number, client in enumerate(greedy):
                    client.send(b"".join(pack([0, i, "open", {"attention": {**SMALL, "window": 100 * number + i}}])
                                         for i in range(2, 32)) +
                                b"".join(pack([0, i, "ping", {}]) for i in range(32, 232)))
                opened = other.ask("open", attention=SMALL)
                stats = other.ask("stats")
            stream = other.answer(opened)["stream"]
            self.assertLess(other.answer(stats)["opened"], 20 * 30, "the other waited for all of it")
            other.output_widths[stream] = 2
            other.push(stream, 0, numpy.zeros((4, 6)))
            self.assertEqual(len(other.outputs(4)), 4)
            for client in greedy:           # and all of it is done
                for number in range(2, 32):
                    self.assertIn("stream", client.answer(number))
                for number in range(32, 232):
                    self.assertEqual(client.answer(number)["server"], "attnd")

    def test_many_resets_that_wait(self):
        with Daemon("--shards", "1") as daemon, daemon.client() as client:
            stream = client.open_attention(window=4096, head_dim=256)["stream"]
            requests = b"".join(pack([0, i, "reset", {"stream": stream}]) for i in range(1, 101))
            client.send(pack([2, "push", [stream, 0, harness.frames_bytes(numpy.zeros((8, 768)))]]) + requests)
            answers = {}
            while len(answers) < 100:
                message = client.read()
                if message[0] == 1:
                    answers[message[1]] = message[2] and message[2]["name"]
            self.assertEqual([answers[i] for i in range(1, 65)], [None] * 64)
            self.assertEqual(set(answers.values()), {None, "limit_exceeded"} if None in answers.values() and
                             "limit_exceeded" in answers.values() else {None})


if __name__ == "__main__":
    if subprocess.run(["prlimit", "--version"], capture_output=True, check=False).returncode != 0:
        raise SystemExit(77)
    harness.main()
