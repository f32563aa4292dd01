# SPDX-License-Identifier: MIT
"""SIGHUP: the configuration is read again, and running streams notice nothing. --check and --reload."""
import os
import signal

import numpy

import harness
from harness import Daemon, RpcError, until
from reload_case import REFUSED, ReloadCase, golden_file, run, with_not_a_number


class Limits(ReloadCase):
    def refused(self, client, name):
        with self.assertRaises(RpcError) as caught:
            client.open_attention()
        self.assertEqual(caught.exception.name, name)

    def test_a_limit_holds_for_connections_that_are_open_already(self):
        with Daemon(config="[limits]\nstreams_per_connection = 1\n") as daemon, daemon.client() as client:
            client.open_attention()
            self.refused(client, "over_capacity")
            self.write(daemon.config, "[limits]\nstreams_per_connection = 3\n")
            log = self.reload(daemon)
            self.assertIn(f"streams_per_connection in [limits]: 1 -> 3 ({daemon.config}:2)", log)
            client.open_attention()
            client.open_attention()
            self.refused(client, "over_capacity")
            with daemon.client() as other:
                self.assertEqual(other.hello["limits"]["streams_per_connection"], 3)

    def test_limits_below_what_is_there_leave_it_and_admit_nothing_more(self):
        with Daemon() as daemon, daemon.client() as client:
            streams = [client.open_attention()["stream"] for _ in range(4)]
            for text in ("[limits]\nstreams = 2\n", "[limits]\nstate_bytes = 1\n"):
                self.write(daemon.config, text)
                self.reload(daemon)
                self.refused(client, "over_capacity")
                for stream in streams:
                    client.push(stream, client.request("info", stream=stream)["next_frame"], numpy.ones((1, 6)))
                client.outputs(1)
            self.write(daemon.config, "")
            self.reload(daemon)
            client.open_attention()

    def test_the_limit_of_connections_is_followed(self):
        with Daemon() as daemon:
            for _ in range(5):      # of an operator, who may have four more than the limit
                self.enterContext(daemon.client())
            self.write(daemon.config, "[limits]\nconnections = 1\n")
            self.reload(daemon)
            with daemon.client(hello=False) as late:
                self.assertEqual(late.notification()[1]["name"], "server_full")
            self.write(daemon.config, "")
            self.reload(daemon)
            with daemon.client() as late:
                self.assertEqual(late.request("ping")["server"], "attnd")

    def test_the_log_level_is_followed(self):
        with Daemon() as daemon:
            for level, is_seen in (("debug", True), ("warning", False)):
                self.write(daemon.config, f"[daemon]\nlog_level = {level}\n")
                daemon.process.send_signal(signal.SIGHUP)   # at the level of warnings its end is not told
                until(lambda: f" -> {level} " in daemon.log())
                before = daemon.log()
                with daemon.client(hello=False) as client:
                    client.send(b"rubbish")
                    self.assertEqual(client.notification()[0], "error")
                    self.assertIsNone(client.notification())
                self.assertEqual("bad_preface" in daemon.log()[len(before):], is_seen)

    def test_a_timeout_is_followed(self):
        with Daemon() as daemon:
            self.write(daemon.config, "[timeouts]\nhello_ms = 1\n")
            self.reload(daemon)
            with daemon.client(hello=False) as client:
                self.assertIn("within 1 ms", client.notification()[1]["message"])

    def test_what_needs_a_restart_is_told_each_time_and_stays(self):
        with Daemon(config="[limits]\nmessage_bytes = 64K\n") as daemon:
            self.write(daemon.config, "[limits]\nmessage_bytes = 128K\nstreams = 7\n")
            for _ in range(2):
                log = self.reload(daemon)
                self.assertIn(f"message_bytes in [limits]: 65536 -> 131072 ({daemon.config}:2) needs a restart; until then it "
                              "stays 65536", log)
            with daemon.client() as client:
                self.assertEqual(client.hello["limits"]["max_message"], 65536)
                self.assertEqual(client.hello["limits"]["max_streams"], 7)
            self.write(daemon.config, "[limits]\nmessage_bytes = 64K\n")
            self.assertNotIn("restart", self.reload(daemon))


    def test_how_long_a_stream_waits_for_its_client_is_followed(self):
        with Daemon() as daemon, daemon.client() as looking:
            with daemon.client() as client:
                client.open_attention()
            self.reload(daemon)
            self.assertEqual(looking.request("stats")["streams"], 1)
            self.write(daemon.config, "[timeouts]\npark_ms = 1\n")
            self.reload(daemon)
            until(lambda: looking.request("stats")["streams"] == 0)


class Configuration(ReloadCase):
    def limit(self, daemon):
        with daemon.client() as client:
            return client.hello["limits"]["max_streams"]

    def test_mistakes_are_logged_by_line_and_the_old_stays_whole(self):
        self.put_model("m", "exact-post")
        with Daemon("--models", self.models, config="[limits]\nstreams = 5\n") as daemon:
            self.put_model("n", "exact-post")
            self.write(daemon.config, "[limits]\nstreams = 6\nconnections = 0\nnosuchkeyhere = 1\n")
            log = self.reload(daemon, REFUSED)
            lines = [line for line in log.splitlines() if daemon.config in line]
            self.assertEqual(len(lines), 2, log)
            self.assertIn(f"error: {daemon.config}:3: connections is 0", lines[0])
            self.assertIn(f"error: {daemon.config}:4: unknown key", lines[1])
            self.assertEqual(self.limit(daemon), 5)
            with daemon.client() as client:
                self.assertEqual(client.hello["models"], ["m"])
            os.remove(daemon.config)
            self.assertIn("No such file", self.reload(daemon, REFUSED))
            self.write(daemon.config, "[limits]\nstreams = 6\n")
            self.reload(daemon)
            self.assertEqual(self.limit(daemon), 6)

    def test_files_of_the_folder_win_in_their_order_and_options_over_all(self):
        with Daemon("--log-level", "warning", config="[limits]\nstreams = 1\n") as daemon:
            daemon_folder = f"{daemon.config}.d"
            os.mkdir(daemon_folder)
            self.write(os.path.join(daemon_folder, "20-b.conf"), "[limits]\nstreams = 20\n[daemon]\nlog_level = debug\n")
            self.write(os.path.join(daemon_folder, "10-a.conf"), "[limits]\nstreams = 10\nconnections = 10\n")
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: self.limit(daemon) == 20)
            self.assertEqual(daemon.log(), "")      # as --log-level has it
            checked = run("--check", "--config", daemon.config).stdout
            self.assertIn(f"; a reload applies it ({daemon_folder}/20-b.conf:2)\nstreams = 20\n", checked)
            self.assertIn(f"; a reload applies it ({daemon_folder}/10-a.conf:3)\nconnections = 10\n", checked)
            self.write(os.path.join(daemon_folder, "20-b.conf"), "[limits]\nstreams = x\n")
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: "stay in force" in daemon.log())
            self.assertIn(f"{daemon_folder}/20-b.conf:2: streams is 'x'", daemon.log())
            self.assertEqual(self.limit(daemon), 20)

    def test_signals_that_come_meanwhile_are_answered_by_one_more_reading(self):
        self.put_model("m", "exact-post")
        with Daemon("--models", self.models) as daemon:
            for number in range(20):
                self.write(daemon.config, f"[limits]\nstreams = {number + 1}\n")
                self.put_model("m", "exact-post" if number % 2 else "exact-pre")
                daemon.process.send_signal(signal.SIGHUP)
            until(lambda: self.limit(daemon) == 20)

    def test_a_stop_in_the_middle_of_a_reload_is_a_graceful_one(self):
        for number in range(8):
            self.put_model(f"m{number}", "exact-wide")
        for _ in range(10):
            with Daemon("--models", self.models) as daemon:
                for number in range(8):
                    os.utime(os.path.join(self.models, f"m{number}.safetensors"))
                daemon.process.send_signal(signal.SIGHUP)
                self.assertEqual(daemon.stop(), 0)


class Check(ReloadCase):
    def test_check_says_of_each_key_where_it_is_from_and_what_a_reload_does(self):
        self.write(self.path("a.conf"), "[limits]\nstreams = 7\n[daemon]\nshards = 2\n")
        checked = run("--check", "--config", self.path("a.conf"), "--log-level", "debug")
        self.assertEqual(checked.returncode, 0, checked.stderr)
        for text in (f"; a reload applies it ({self.path('a.conf')}:2)\nstreams = 7\n",
                     f"; needs a restart ({self.path('a.conf')}:4)\nshards = 2\n",
                     "; a reload applies it (--log-level)\nlog_level = debug\n",
                     "; needs a restart (default)\nmessage_bytes = 1048576\n"):
            self.assertIn(text, checked.stdout)

    def test_check_reads_the_models(self):
        self.put_model("good", "exact-post")
        self.put_model("bad", with_not_a_number(golden_file("exact-post")))
        bad, good = (os.path.join(self.models, f"{name}.safetensors") for name in ("bad", "good"))
        checked = run("--check", "--models", self.models)
        self.assertEqual(checked.returncode, 0)
        self.assertIn(f"model 'good' from {good} is valid: 10 floats a frame, window 12", checked.stderr)
        self.assertIn(f"model {bad} is not served: ", checked.stderr)
        for arguments in (["--model", bad], ["--model", self.path("none")], ["--models", self.path("none")]):
            checked = run("--check", *arguments)
            self.assertEqual(checked.returncode, os.EX_CONFIG, arguments)
            self.assertIn(arguments[1], checked.stderr)
            self.assertIn("[limits]", checked.stdout)

    def test_reload_signals_only_where_nothing_is_wrong(self):
        with Daemon() as daemon:
            before = self.log_of_start(daemon)
            self.write(daemon.config, "[limits]\nstreams = many\n")
            told = run("--reload", str(daemon.pid), "--config", daemon.config)
            self.assertEqual((told.returncode, told.stdout), (os.EX_CONFIG, ""))
            self.assertIn(f"{daemon.config}:2: streams is 'many'", told.stderr)
            self.write(daemon.config, "[limits]\nstreams = 3\n")
            told = run("--reload", str(daemon.pid), "--config", daemon.config)
            self.assertEqual((told.returncode, told.stdout, told.stderr), (0, "", ""))
            self.assertIn("streams in [limits]: 20000 -> 3", self.wait(daemon, before))
            self.assertEqual(daemon.log().count("SIGHUP"), 1)

    def test_reload_of_what_is_no_process_is_told(self):
        for pid in ("0", "-1", "x", "", "99999999999"):
            self.assertEqual(run("--reload", pid, "--config", "/dev/null").returncode, os.EX_USAGE, pid)
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
            nobody = int(file.read())       # every process has a smaller number
        other = run("--reload", str(os.getpid()), "--config", "/dev/null")    # SIGHUP would end it
        self.assertEqual(other.returncode, 1)
        self.assertIn("not attnd", other.stderr)
        told = run("--reload", str(nobody), "--config", "/dev/null")
        self.assertEqual(told.returncode, 1)
        self.assertIn("No such process", told.stderr)


if __name__ == "__main__":
    harness.main()
