# SPDX-License-Identifier: MIT
"""attnctl bench: its counts, its checksum, its search; against a daemon, and against one that misbehaves."""
import json
import signal
import socket
import struct
import threading
import time

import msgpack

import harness
from attnctl_case import INPUT_DIM, Case

KEYS = {"streams", "connections", "rate", "sent", "answered", "dropped", "lost", "unsent", "refused", "p50_us", "p99_us",
        "p999_us", "max_us", "lag_us_p99", "frames_per_s", "client_us_per_frame", "echo_p50_us", "echo_ratio",
        "echo_ratio_min", "echo_ratio_max", "pairs", "capacity_streams", "capacity_confirmed", "trials", "seconds",
        "checksum", "model", "attention"}
ATTENTION = ["--window", "8", "--landmarks", "2", "--heads", "2", "--head-dim", "4"]
LAST_METHODS = ("finish", "close")


class Misbehaving:
    """Speaks the protocol with one stream's outputs of one float, and treats single frames as it was told.
    `frames`: {number: "drop", "refuse" or "swallow"}; `admitted`: so many streams are opened, and those after them not;
    `held`: so many frames have to come before any is answered; then, after a while, those of one stream after the other."""

    def __init__(self, path, frames=None, admitted=1000, held=0, credit=4):
        self.frames, self.admitted, self.held, self.credit = frames or {}, admitted, held, credit
        self.opened = []        # params of each open
        self.n_bytes = 4 * INPUT_DIM
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            stream.read(6)
            waiting = []
            while header := stream.read(4):
                message = msgpack.unpackb(stream.read(struct.unpack(">I", header)[0]))
                answers = b"".join(harness.pack(answer) for answer in self.answers(message))
                if message[0] == 2 and self.held > 0:
                    waiting.append((message[2][0], answers))
                    self.held -= 1
                    if self.held > 0:
                        continue
                    time.sleep(0.5)
                    waiting.sort(key=lambda item: item[0])
                    answers = b"".join(item[1] for item in waiting)
                connection.sendall(answers)

    def answers(self, message):
        if message[0] == 2:
            return self.settle(*message[2])
        number, method, params = message[1:4]
        if method == "hello":
            return [[1, number, None, {"server": "test", "version": "0", "features": [], "limits": {}, "models": ["tiny"]}]]
        if method == "models":
            return [[1, number, None, {"models": [{"name": "tiny", "input_dim": INPUT_DIM, "frontend": None}]}]]
        if method == "open":
            self.opened.append(params)
            if len(self.opened) > self.admitted:
                error = {"code": 16, "name": "over_capacity", "message": "no room for this stream"}
                return [[1, number, error, None]]
            return [[1, number, None, {"stream": len(self.opened), "token": bytes(16), "input_dim": INPUT_DIM, "output_dim": 1,
                                       "labels": [], "credit": self.credit, "next_frame": 0, "position": 0}]]
        assert method in LAST_METHODS, method
        return [[1, number, None, {}]]

    def settle(self, stream, first, frames):
        assert len(frames) == self.n_bytes
        what = self.frames.get(first)
        if what == "drop":
            return [[2, "event", {"stream": stream, "event": "dropped", "first": first, "count": 1, "reason": "late"}]]
        if what == "refuse":
            return [[2, "error", {"code": 12, "name": "bad_frame", "message": "no", "stream": stream, "frame": first}]]
        if what == "swallow":
            return []
        return [[2, "output", [stream, first, bytes(4), {"position": first, "lag_us": 1, "warming": 0}]]]


class Bench(Case):
    def bench(self, *arguments, status=0):
        """The object of JSON, and what was said on standard error."""
        output, errors = self.run_attnctl("bench", *arguments, status=status)
        result = json.loads(output)
        self.assertEqual(result["sent"], result["answered"] + result["dropped"] + result["lost"])
        return result, errors

    def test_counts_add_up(self):
        result, errors = self.bench("--streams", "6", "--connections", "2", "--rate", "50", "--seconds", "0.4")
        self.assertIn("private daemon", errors)
        self.assertEqual(set(result), KEYS)
        self.assertEqual((result["sent"], result["answered"], result["unsent"]), (120, 120, 0))
        self.assertEqual((result["streams"], result["connections"], result["model"]), (6, 2, "tiny"))
        self.assertLessEqual(result["p50_us"], result["p99_us"])
        self.assertLessEqual(result["p99_us"], result["max_us"])
        self.assertIsNone(result["echo_p50_us"])
        self.assertIsNone(result["capacity_streams"])
        self.assert_nothing_left()

    def test_the_rate_is_that_of_the_models_audio(self):
        result, _ = self.bench("--seconds", "0.2")      # a frame every 2 hops, of which there are 100 a second
        self.assertEqual((result["rate"], result["sent"]), (50, 10))

    def test_the_same_seed_has_the_same_checksum(self):
        with harness.Daemon("--models", self.path("models")) as daemon:
            def checksum(*arguments):
                return self.bench("--socket", daemon.socket, "--streams", "5", "--rate", "100", "--seconds", "0.3",
                                  *arguments)[0]["checksum"]
            one = checksum("--seed", "7")
            self.assertRegex(one, "^[0-9a-f]{16}$")
            self.assertEqual(checksum("--seed", "7"), one)
            self.assertEqual(checksum("--seed", "7", "--connections", "1"), one)
            self.assertNotEqual(checksum("--seed", "8"), one)

    def test_raw_attention(self):
        result, _ = self.bench(*ATTENTION, "--refresh", "spread", "--rate", "200", "--seconds", "0.2")
        self.assertEqual(result["attention"], {"method": "nystrom", "window": 8, "landmarks": 2, "heads": 2, "head_dim": 4,
                                               "refresh": "spread"})
        self.assertEqual((result["model"], result["answered"]), (None, 40))

    def test_a_closed_loop(self):
        result, _ = self.bench("--closed-loop", "--streams", "3", "--seconds", "0.3")
        self.assertIsNone(result["rate"])
        self.assertIsNone(result["checksum"])
        self.assertGreaterEqual(result["answered"], 3)
        self.assertEqual((result["dropped"], result["lost"]), (0, 0))

    def test_an_echo_is_measured_in_turns(self):
        result, _ = self.bench("--echo", "--seconds", "0.4", *ATTENTION)
        self.assertGreaterEqual(result["pairs"], 10)
        self.assertGreater(result["echo_p50_us"], 0)
        self.assertLessEqual(result["echo_ratio_min"], result["echo_ratio"])
        self.assertLessEqual(result["echo_ratio"], result["echo_ratio_max"])

    def test_a_capacity_is_found_at_the_limit_of_streams(self):
        with harness.Daemon("--models", self.path("models"), config="[limits]\nstreams = 9\n") as daemon:
            result, errors = self.bench("--socket", daemon.socket, "--find-capacity", "--p99", "20000", "--rate", "20",
                                        "--seconds", "0.1")
            self.assertEqual((result["capacity_streams"], result["capacity_confirmed"]), (9, True))
            self.assertIn("over_capacity", errors)
            with daemon.client() as client:
                self.assertEqual(client.request("streams")["streams"], [])
        refused = [trial for trial in result["trials"] if not trial["passed"]]
        self.assertTrue(refused)
        for trial in refused:
            self.assertGreater(trial["streams"], 9)
            self.assertIn("refused", trial["why"])

    def test_streams_that_the_daemon_refuses_are_told(self):
        with harness.Daemon("--models", self.path("models"), config="[limits]\nstreams = 2\n") as daemon:
            output, errors = self.run_attnctl("bench", "--socket", daemon.socket, "--streams", "5", status=1)
        self.assertEqual(output, b"")
        self.assertIn("3 of 5 streams were refused", errors)

    def test_streams_are_admitted_by_their_rate(self):
        result, _ = self.bench("--admit", "--streams", "2", "--rate", "20", "--seconds", "0.2")
        self.assertEqual((result["refused"], result["answered"]), (0, 8))
        large = ["--window", "4096", "--heads", "8", "--head-dim", "64"]
        _, errors = self.run_attnctl("bench", "--admit", "--rate", "1000000", "--seconds", "0.1", *large, status=1)
        self.assertIn("over_capacity", errors)

    def test_frames_beyond_their_deadline_are_dropped_not_lost(self):
        attention = ["--window", "8192", "--heads", "8", "--head-dim", "64"]    # no daemon answers 20,000 frames/s of it
        result, _ = self.bench("--rate", "20000", "--seconds", "0.2", "--deadline", "1", "--late", "drop-oldest", *attention)
        self.assertGreater(result["dropped"], 0)
        self.assertEqual((result["sent"] + result["unsent"], result["lost"]), (4000, 0))

    def start_long(self, daemon):
        """A run of minutes, once its streams are open."""
        process = self.start("bench", "--socket", daemon.socket, "--streams", "4", "--rate", "50", "--seconds", "300")
        with daemon.client() as client:
            harness.until(lambda: client.request("stats")["outputs"] >= 8)
        return process

    def test_a_daemon_that_is_killed_ends_the_run(self):
        daemon = harness.Daemon("--models", self.path("models"))
        with self.assertRaises(AssertionError), daemon:     # of a daemon that ends by a signal
            process = self.start_long(daemon)
            daemon.process.kill()
            output, errors = process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"the daemon ended the connection without saying why", errors)
        self.assertGreater(json.loads(output)["answered"], 0)

    def test_a_daemon_that_stops_says_why(self):
        with harness.Daemon("--models", self.path("models")) as daemon:
            process = self.start_long(daemon)
            daemon.stop()
            output, errors = process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"drain", errors)
        self.assertGreater(json.loads(output)["answered"], 0)

    def test_an_interruption_prints_what_was_measured(self):
        with harness.Daemon("--models", self.path("models")) as daemon:
            process = self.start_long(daemon)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=harness.PATIENCE_S)
        result = json.loads(output)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertEqual(result["lost"], 0)
        self.assertGreaterEqual(result["answered"], 8)
        self.assertLess(result["seconds"], 300)

    def test_a_terminal_is_shown_bars(self):
        shown = self.on_terminal("bench", "--seconds", "0.2")
        self.assertIn("10 sent, 10 answered", shown)
        self.assertIn("█", shown)

    def test_contradictions(self):
        for arguments, told in (
                (["--find-capacity"], "--p99"),
                (["--p99", "5"], "--find-capacity"),
                (["--closed-loop", "--rate", "5"], "--closed-loop"),
                (["--echo", "--rate", "5"], "--echo"),
                (["--echo", "--find-capacity", "--p99", "5"], "--echo"),
                (["--admit", "--closed-loop"], "--closed-loop"),
                (["--late", "drop-oldest"], "--deadline"),
                (["--late", "never"], "drop-oldest"),
                (["--window", "8"], "--heads"),
                (["-m", "tiny", *ATTENTION], "contradict"),
                (["--method", "exact", *ATTENTION], "--landmarks"),
                (["--streams", "2", "--connections", "3"], "more than"),
                (["--rate", "0"], "--rate"),
                (["--streams", "many"], "many"),
                (["5"], "options alone")):
            with self.subTest(arguments=arguments):
                output, errors = self.run_attnctl("bench", *arguments, status=2)
                self.assertEqual(output, b"")
                self.assertIn(told, errors)


class BenchOfOthers(Case):
    def test_frames_that_have_no_output(self):
        path = self.path("fake.sock")
        Misbehaving(path, {2: "drop", 5: "refuse", 11: "swallow"})
        output, errors = self.run_attnctl("bench", "--socket", path, "--rate", "100", "--seconds", "0.2", status=1)
        result = json.loads(output)
        self.assertEqual((result["sent"], result["answered"], result["dropped"], result["lost"]), (20, 17, 2, 1))
        self.assertIn("1 frames were lost", errors)

    def test_frames_that_had_no_credit_for_a_while_are_all_sent(self):
        path = self.path("fake.sock")
        streams, credit, frames = 8, 64, 160
        Misbehaving(path, held=streams * credit, credit=credit)
        output, _ = self.run_attnctl("bench", "--socket", path, "--streams", str(streams), "--connections", "1", "--rate", "400",
                                     "--seconds", "0.4")
        result = json.loads(output)
        self.assertEqual((result["answered"], result["unsent"]), (streams * frames, 0))
        self.assertGreater(result["max_us"], 100000)    # of frames that the daemon held for half a second

    def test_a_stream_without_room_is_left_out(self):
        path = self.path("fake.sock")
        daemon = Misbehaving(path, admitted=3)
        output, _ = self.run_attnctl("bench", "--socket", path, "--streams", "5", "--connections", "2", "--rate", "40",
                                     "--seconds", "0.2", "--admit", "--deadline", "30", "--late", "skip-output")
        result = json.loads(output)
        self.assertEqual((result["streams"], result["refused"], result["answered"]), (3, 2, 24))
        self.assertEqual(daemon.opened, 5 * [{"model": "tiny", "rate": 40.0, "deadline_ms": 30, "late": "skip-output"}])

    def test_without_admit_a_refusal_is_an_error(self):
        path = self.path("fake.sock")
        daemon = Misbehaving(path, admitted=1)
        _, errors = self.run_attnctl("bench", "--socket", path, "--streams", "2", "--seconds", "0.2", status=1)
        self.assertIn("over_capacity", errors)
        self.assertEqual(daemon.opened[0], {"model": "tiny"})


if __name__ == "__main__":
    harness.main()
