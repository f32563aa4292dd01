# SPDX-License-Identifier: MIT
"""attnctl and the daemon: asking it, finding it, and what happens where it is not, may not be used, or goes away."""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import unittest

import numpy

import attnctl_case
import harness
from attnctl_case import sound, write_wav


class Listening(attnctl_case.Case):
    """A daemon that serves the tiny model."""

    def setUp(self):
        super().setUp()
        self.daemon = harness.Daemon("--models", self.path("models"))
        self.daemon.__enter__()
        self.addCleanup(self.daemon.__exit__)
        self.environment["ATTND_SOCKET"] = self.daemon.socket

    def ask(self, *arguments):
        out, _ = self.run_attnctl(*arguments)
        self.assertEqual(out.count(b"\n"), 1)
        return json.loads(out)

    def test_ping_tells_who_answered(self):
        answer = self.ask("ping")
        self.assertRegex(answer["server"], "^attnd ")
        self.assertGreater(answer["round_trip_us"], 0)

    def test_version_and_help_need_no_daemon(self):
        self.environment["ATTND_SOCKET"] = self.path("nobody.sock")
        self.assertRegex(self.run_attnctl("--version")[0].decode(), r"^attnctl \d")
        self.assertIn("  stream ", self.run_attnctl("--help")[0].decode())
        for command in ("stream", "attend", "features", "ping", "info"):
            self.assertIn(f"Usage: attnctl {command}", self.run_attnctl(command, "--help")[0].decode())

    def test_the_socket_can_be_named_before_and_after_the_command(self):
        self.environment["ATTND_SOCKET"] = self.path("nobody.sock")
        self.ask("--socket", self.daemon.socket, "ping")
        self.ask("ping", "--socket", self.daemon.socket)

    def test_models_lists_what_is_served(self):
        models = self.ask("models")["models"]
        self.assertEqual([model["name"] for model in models], ["tiny"])
        self.assertEqual(models[0]["input_dim"], attnctl_case.INPUT_DIM)

    def test_streams_and_info_show_a_stream_by_number_and_by_name(self):
        with self.daemon.client() as client:
            stream = client.open_attention(name="kitchen")["stream"]
            client.push(stream, 0, [[1, 2, 3, 4, 5, 6]] * 3)
            client.outputs(3)
            self.assertEqual([entry["stream"] for entry in self.ask("streams")["streams"]], [stream])
            for target in ("kitchen", str(stream)):
                info = self.ask("info", target)
                self.assertEqual((info["stream"], info["name"], info["position"]), (stream, "kitchen", 3))

    def test_streams_lists_all_of_many(self):
        with self.daemon.client() as client:
            numbers = [client.open_attention()["stream"] for _ in range(1100)]
            self.assertEqual([entry["stream"] for entry in self.ask("streams")["streams"]], sorted(numbers))

    def test_reset_empties_a_stream_and_close_ends_it(self):
        with self.daemon.client() as client:
            stream = client.open_attention(name="kitchen")["stream"]
            client.push(stream, 0, [[1, 2, 3, 4, 5, 6]] * 3)
            client.outputs(3)
            self.ask("reset", "kitchen")
            method, event = client.notification()
            self.assertEqual((method, event["event"], event["next_frame"]), ("event", "reset", 3))
            self.ask("close", str(stream))
            self.assertEqual(client.notification()[1]["event"], "ended")
        _, errors = self.run_attnctl("info", "kitchen", status=1)
        self.assertIn("unknown_stream", errors)

    def test_stats_counts_what_was_streamed(self):
        def numbers(value):
            return {key: number for key, number in value.items() if isinstance(number, int)}

        before = numbers(self.ask("stats"))
        write_wav(self.path("tone.wav"), sound(1.0))
        n_lines = len(self.lines("stream", self.path("tone.wav")))
        after = numbers(self.ask("stats"))
        self.assertIn(n_lines, [after[key] - before.get(key, 0) for key in after])

    def test_people_are_shown_tables_and_json_where_they_ask_for_it(self):
        self.assertRegex(self.on_terminal("models"), r"name +input_dim.*\r\ntiny +256")
        self.assertEqual(json.loads(self.on_terminal("--json", "models")), self.ask("models"))

    def test_people_are_shown_bars_while_it_streams_and_then_a_timeline(self):
        write_wav(self.path("tone.wav"), sound(1.0))
        best = max(self.lines("stream", self.path("tone.wav"))[-1]["scores"].items(), key=lambda item: item[1])[0]
        shown = self.on_terminal("stream", self.path("tone.wav"))
        live, timeline = shown.rsplit("\r", 2)[0], shown.rstrip().rsplit("\n", 1)[-1]
        self.assertNotIn("{", shown)
        self.assertIn(best, live)
        self.assertIn(best, timeline)
        self.assertIn("█", timeline)
        self.assertEqual(len(self.on_terminal("stream", "--json", self.path("tone.wav")).splitlines()),
                         attnctl_case.n_frames(16000))

    def test_leaves_no_stream_behind(self):
        write_wav(self.path("tone.wav"), sound(1.0))
        self.run_attnctl("stream", self.path("tone.wav"))
        self.assertEqual(self.ask("streams")["streams"], [])

    def test_leaves_no_stream_behind_where_it_fails(self):
        frames = numpy.zeros((40, 3, 1, 2), "f4")
        frames[3] = numpy.nan
        numpy.save(self.path("in.npy"), frames)
        self.run_attnctl("attend", "--window", "4", "-o", self.path("out.npy"), self.path("in.npy"), status=1)
        write_wav(self.path("out.npy"), sound(0.1))
        self.run_attnctl("attend", "--window", "4", "-o", self.path("out.npy"), self.path("in.npy"), status=1)
        self.assertEqual(self.ask("streams")["streams"], [])


class NotListening(attnctl_case.Case):
    def setUp(self):
        super().setUp()
        write_wav(self.path("tone.wav"), sound(0.5))

    def check_private(self):
        out, errors = self.run_attnctl("stream", self.path("tone.wav"))
        self.assertEqual(len(out.splitlines()), attnctl_case.n_frames(8000))
        self.assertIn("private daemon", errors)
        self.assert_nothing_left()

    def test_a_private_daemon_answers_where_nobody_listens(self):
        self.check_private()

    def test_a_private_daemon_answers_where_a_socket_is_stale(self):
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(self.environment["ATTND_SOCKET"])
        stale.close()
        self.check_private()

    def test_a_private_daemon_waits_for_as_long_as_whoever_reads_the_output(self):
        """A pager, or a pipe that stands still: `attnctl` then reads nothing, which a daemon for many ends after send_ms."""
        with open(self.path("attnd"), "w", encoding="utf-8") as script:
            script.write(f'#!/bin/sh\n"{harness.ATTND}" --check "$@" > "{self.path("effective")}"\nexec "{harness.ATTND}" "$@"\n')
        os.chmod(self.path("attnd"), 0o755)
        self.environment["ATTND"] = self.path("attnd")
        self.check_private()
        with open(self.path("effective"), encoding="utf-8") as file:
            self.assertIn("send_ms = 86400000", file.read())

    def test_looking_needs_a_daemon_that_listens(self):
        for command in (["ping"], ["models"], ["stats"], ["info", "kitchen"]):
            out, errors = self.run_attnctl(*command, status=3)
            self.assertEqual(out, b"")
            self.assertIn("nobody listens", errors)

    def test_who_listens_but_does_not_speak_is_no_daemon(self):
        mute = socket.socket(socket.AF_UNIX)
        self.addCleanup(mute.close)
        mute.bind(self.environment["ATTND_SOCKET"])
        mute.listen()
        _, errors = self.run_attnctl("ping", status=3)
        self.assertIn("no greeting came", errors)

    def test_a_private_daemon_that_ends_after_it_listened_is_explained(self):
        """The socket is there before the models are loaded, and is closed before the process has ended."""
        fake = self.path("fake-attnd")
        with open(fake, "w", encoding="ascii") as file:
            file.write(f"""#!{sys.executable}
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[sys.argv.index("--socket") + 1])
listener.listen()
listener.accept()[0].close()
time.sleep(0.3)
print("attnd: error: the model is damaged", file=sys.stderr)
sys.exit(1)
""")
        os.chmod(fake, 0o755)
        self.environment.update(ATTND=fake, ATTND_SOCKET=self.path("nobody.sock"))
        _, errors = self.run_attnctl("stream", "-m", self.path("models/tiny.safetensors"), self.path("tone.wav"),
                                     status=1)
        self.assertIn("a private daemon did not start: attnd: error: the model is damaged", errors)

    def test_a_private_daemon_that_cannot_be_started_is_explained(self):
        self.environment["ATTND"] = self.path("no-attnd")
        _, errors = self.run_attnctl("stream", self.path("tone.wav"), status=3)
        self.assertIn("no-attnd: No such file", errors)
        self.assert_nothing_left()

    def test_the_group_is_named_where_there_is_no_permission(self):
        locked = self.path("locked")
        os.mkdir(locked)
        shutil.copy(harness.ATTNCTL, self.path("attnctl"))
        os.chmod(self.folder, 0o755)
        os.chmod(locked, 0)
        self.addCleanup(os.chmod, locked, 0o700)
        command = [self.path("attnctl"), "--socket", os.path.join(locked, "attnd.sock"), "stream", self.path("tone.wav")]
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                self.skipTest("root may do everything, and there is no setpriv")
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        done = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=harness.PATIENCE_S)
        self.assertEqual((done.returncode, done.stdout), (3, b""))
        self.assertIn(b"usermod -aG attnd", done.stderr)

    def streaming(self):
        """attnctl in the middle of a stream from a pipe, one answer read."""
        process = self.start("stream", "-f", "s16le", "-r", "16000", "-", stdin=subprocess.PIPE)
        process.stdin.write(sound(0.5).tobytes())
        process.stdin.flush()
        process.stdout.readline()
        return process

    def test_a_daemon_that_is_killed_in_the_middle_is_an_error(self):
        daemon = harness.Daemon("--models", self.path("models"))
        self.addCleanup(shutil.rmtree, daemon.folder, ignore_errors=True)
        daemon.__enter__()
        self.environment["ATTND_SOCKET"] = daemon.socket
        process = self.streaming()
        daemon.stop(signal.SIGKILL)
        _, errors = process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"ended the connection", errors)

    def test_a_private_daemon_ends_with_the_attnctl_that_is_killed(self):
        process = self.streaming()
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            child = int(file.read())
        watch = os.pidfd_open(child)
        process.kill()
        process.communicate(timeout=harness.PATIENCE_S)
        self.assertTrue(select.select([watch], [], [], harness.PATIENCE_S)[0], "the private daemon lives on")
        os.close(watch)
        self.assert_nothing_left()


if __name__ == "__main__":
    harness.main()
