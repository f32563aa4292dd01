# SPDX-License-Identifier: MIT
"""attnctl and frames without answer: those that are late, and a stream that ends. First against a scripted daemon,
which drops exactly what a test wants, then against attnd."""
import json
import re
import struct
import subprocess

import numpy

import attnctl_case
import harness
from attnctl_case import n_frames, sound, write_wav

LATE = ("--deadline", "25", "--late")


def event(name, **keys):
    return harness.pack([2, "event", {"stream": 1, "event": name, **keys}])


def output(frame, values):
    return harness.pack([2, "output", [1, frame, struct.pack(f"<{len(values)}f", *values),
                                       {"position": frame, "lag_us": 1, "warming": 0}]])


def fate(frame):
    """Of three frames the first is answered, the second dropped, the third skipped."""
    return ("answered", "dropped", "skipped")[frame % 3]


class Scripted(attnctl_case.Scripted):
    def setUp(self):
        super().setUp()
        write_wav(self.path("tone.wav"), sound(0.5))
        self.n = n_frames(8000)
        self.opened = []

    def serve_late(self, n_values=2, reason="late", **opened):
        """Answers, drops and skips frames as `fate` says."""
        floats = opened.get("input_dim", attnctl_case.INPUT_DIM)

        def on_open(params):
            self.opened.append(params)
            return {**attnctl_case.OPENED, "output_dim": n_values, **opened}

        def on_push(params):
            first, reply = params[1], b""
            for frame in range(first, first + len(params[2]) // (4 * floats)):
                reply += output(frame, [0.5] * n_values) if fate(frame) == "answered" else \
                    event(fate(frame), first=frame, count=1, reason=reason)
            return reply

        self.serve(on_push=on_push, open=on_open)

    def test_the_terms_are_asked_for(self):
        self.serve_late()
        self.lines("stream", *LATE, "drop-oldest", "--promise", "12.5", self.path("tone.wav"))
        opened = self.opened[0]
        self.assertEqual((opened["rate"], opened["deadline_ms"], opened["late"]), (12.5, 25, "drop-oldest"))

    def test_nothing_is_asked_for_by_itself(self):
        self.serve_late()
        self.run_attnctl("stream", self.path("tone.wav"))
        self.assertEqual(list(self.opened[0]), ["model"])

    def test_every_frame_has_its_line_also_one_that_was_late(self):
        self.serve_late()
        out, errors = self.run_attnctl("stream", *LATE, "drop-oldest", self.path("tone.wav"))
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["frame"] for line in lines], list(range(self.n)))
        for line in lines:
            if fate(line["frame"]) == "answered":
                self.assertEqual(line["scores"], [0.5, 0.5])
            else:
                expected = {"frame": line["frame"], "time_s": line["time_s"], fate(line["frame"]): "late"}
                self.assertEqual(line, expected)
        times = [line["time_s"] for line in lines]
        self.assertEqual(times, sorted(set(times)))
        fates = [fate(frame) for frame in range(self.n)]
        self.assertEqual(errors, f"attnctl: {self.path('tone.wav')}: of {self.n} frames {fates.count('dropped')} were dropped "
                                 f"and {fates.count('skipped')} skipped, which could not be answered within 25 ms\n")

    def test_late_frames_are_rows_of_no_numbers_also_at_the_end(self):
        self.serve_late()
        self.assertNotEqual(fate(self.n - 1), "answered")
        self.run_attnctl("stream", *LATE, "drop-oldest", "-o", self.path("scores.npy"), self.path("tone.wav"))
        self.check_rows(numpy.load(self.path("scores.npy")), (self.n, 2))

    def test_late_frames_of_raw_attention_too(self):
        numpy.save(self.path("in.npy"), numpy.zeros((50, 3, 1, 2), "f4"))
        self.serve_late(input_dim=6, credit=8)
        _, errors = self.run_attnctl("attend", "--window", "4", *LATE, "skip-output", "-o", self.path("out.npy"),
                                     self.path("in.npy"))
        self.check_rows(numpy.load(self.path("out.npy")), (50, 1, 2))
        self.assertIn("of 50 frames 17 were dropped and 16 skipped", errors)

    def check_rows(self, rows, shape):
        self.assertEqual(rows.shape, shape)
        for frame, row in enumerate(rows):
            self.assertTrue(numpy.all(row == 0.5) if fate(frame) == "answered" else numpy.all(numpy.isnan(row)), frame)

    def test_frames_that_go_for_other_reasons_are_a_failure(self):
        self.serve_late(reason="no_memory")
        _, errors = self.run_attnctl("stream", *LATE, "drop-oldest", self.path("tone.wav"), status=1)
        self.assertIn("frame 1 has no answer: dropped (no_memory)", errors)

    def test_frames_that_were_never_sent_cannot_be_dropped(self):
        self.serve(on_push=lambda params: event("dropped", first=0, count=1 << 60, reason="late"))
        _, errors = self.run_attnctl("stream", self.path("tone.wav"), status=1)
        self.assertIn("were pushed", errors)

    def test_frames_that_were_never_sent_cannot_be_refused(self):
        self.serve(on_push=lambda params: harness.pack([2, "error", {
            "code": 12, "name": "bad_frame", "message": "no", "stream": 1, "frame": 1 << 60}]))
        _, errors = self.run_attnctl("stream", self.path("tone.wav"), "-o", self.path("scores.npy"), status=1)
        self.assertIn("were pushed", errors)

    def test_a_stream_that_is_taken_over_says_so(self):
        self.serve(on_push=lambda params: event("superseded"))
        _, errors = self.run_attnctl("stream", self.path("tone.wav"), status=1)
        self.assertIn("another connection took it over", errors)
        self.assertEqual(errors.count("\n"), 1)

    def test_a_promise_that_finds_no_room_is_refused_with_when_to_ask_again(self):
        self.serve(open=attnctl_case.Refusal(code=16, name="over_capacity", message="5 frames/s are left", retry_ms=2500,
                                             left_shard=5.0, left_all=8.0))
        _, errors = self.run_attnctl("stream", "--promise", "100", self.path("tone.wav"), status=1)
        self.assertIn("5 frames/s are left (over_capacity); ask again in 3 s", errors)

    def test_terms_that_make_no_sense_are_refused_before_anything_is_sent(self):
        for words, arguments in {
                "needs --deadline": ("--late", "drop-oldest"), "not 'never'": ("--late", "never"),
                "from 1 on": ("--deadline", "0"), "above 0": ("--promise", "-3")}.items():
            _, errors = self.run_attnctl("stream", *arguments, self.path("tone.wav"), status=2)
            self.assertIn(words, errors)


class Real(attnctl_case.Case):
    """Against attnd."""

    def start_daemon(self, config=""):
        self.daemon = harness.Daemon("--models", self.path("models"), config=config)
        self.daemon.__enter__()
        self.addCleanup(self.daemon.__exit__)
        self.environment["ATTND_SOCKET"] = self.daemon.socket

    def start_idle_stream(self):
        """A stream that has had one answer and waits for more."""
        process = self.start("stream", "-f", "s16le", "-r", "16000", "-", stdin=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        process.stdin.write(sound(0.1).tobytes())
        process.stdin.flush()
        self.assertEqual(json.loads(process.stdout.readline())["frame"], 0)
        return process

    def test_what_is_missing_in_the_array_is_what_was_told(self):
        self.start_daemon()
        frames = numpy.random.default_rng(3).standard_normal((300, 3, 1, 64)).astype("f4")
        numpy.save(self.path("in.npy"), frames)
        for late, which in (("drop-oldest", 1), ("skip-output", 2)):
            _, errors = self.run_attnctl("attend", "--window", "1024", "--retroactive", "--deadline", "1", "--late", late,
                                         "-o", self.path("out.npy"), self.path("in.npy"))
            told = re.search(r"of 300 frames (\d+) were dropped and (\d+) skipped", errors)
            rows = numpy.load(self.path("out.npy"))
            self.assertEqual(rows.shape[0], 300)
            self.assertEqual(numpy.isnan(rows[:, 0, 0, 0]).sum(), int(told[which]) if told else 0)

    def test_a_promise_that_no_thread_can_keep_is_refused(self):
        self.start_daemon()
        numpy.save(self.path("in.npy"), numpy.zeros((50, 3, 1, 2), "f4"))
        for promise, status, words in (("0.5", 0, ""), ("1e12", 1, "(over_capacity)")):
            _, errors = self.run_attnctl("attend", "--window", "64", "--promise", promise, "-o", self.path("out.npy"),
                                         self.path("in.npy"), status=status)
            self.assertIn(words, errors)

    def test_kill_ends_the_stream_of_a_client_that_waits_and_tells_it_why(self):
        self.start_daemon()
        process = self.start_idle_stream()
        with self.daemon.client() as client:
            stream = client.request("streams")["streams"][0]["stream"]
        out, _ = self.run_attnctl("kill", str(stream), "--reason", "noise at night")
        self.assertGreaterEqual(json.loads(out)["outputs"], 1)
        errors = process.stderr.read().decode()
        self.assertEqual(process.wait(harness.PATIENCE_S), 1)
        self.assertIn("an operator ended it (noise at night); ask before opening it anew (killed)", errors)
        _, errors = self.run_attnctl("kill", str(stream), status=1)
        self.assertIn("unknown_stream", errors)

    def test_a_reason_that_is_too_long_is_refused(self):
        self.start_daemon()
        _, errors = self.run_attnctl("kill", "1", "--reason", "x" * 121, status=1)
        self.assertIn("120 bytes", errors)

    def test_a_stream_that_idles_is_warned_and_then_ended(self):
        self.start_daemon()
        process = self.start_idle_stream()
        self.daemon.reload("[timeouts]\nidle_ms = 2000\n")
        errors = process.stderr.read().decode()
        self.assertEqual(process.wait(harness.PATIENCE_S), 1)
        warning, end = errors.splitlines()
        self.assertIn("the daemon ends the stream in 1 s unless more comes", warning)
        self.assertIn("nothing came for as long as the daemon lets a stream idle", end)


if __name__ == "__main__":
    harness.main()
