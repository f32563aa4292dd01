# SPDX-License-Identifier: MIT
"""How the daemon starts, refuses to start, stops, and what its configuration says."""
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

import numpy

import harness
from harness import ATTND, HOLDING_BACK, PATIENCE_S, SRCDIR, WIDE, Daemon, listens, until


def run(*arguments, **options):
    return subprocess.run([ATTND, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False, **options)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="attnd-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb" if isinstance(content, bytes) else "w") as file:
                file.write(content)
        return path


class CommandLine(unittest.TestCase):
    def test_version_and_help(self):
        self.assertRegex(run("--version").stdout, r"^attnd \d+\.\d+\.\d+\n$")
        text = run("--help").stdout
        for option in ("--config", "--socket", "--models", "--model", "--shards", "--until-eof", "--check", "--reload"):
            self.assertIn(option, text)

    def test_wrong_options_are_named(self):
        for arguments, message in ((["--nosuch"], "nosuch"), (["--shards", "many"], "not a number"),
                                   (["--shards", "999"], "0 to 256"),
                                   (["--until-eof", "99"], "no open descriptor"), (["extra"], "Too many arguments")):
            result = run(*arguments)
            self.assertEqual(result.returncode, os.EX_USAGE, arguments)
            self.assertIn(message, result.stderr)


class Configuration(Folder):
    def check(self, text):
        return run("--check", "--config", self.path("attnd.conf", text))

    def test_check_prints_a_configuration_that_says_the_same_again(self):
        first = self.check("[limits]\nstreams = 77\nunsent_bytes = 64K\n")
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertRegex(first.stdout, r"attnd\.conf:2\)\nstreams = 77\n")
        self.assertIn("unsent_bytes = 65536\n", first.stdout)
        again = self.check(first.stdout)
        self.assertEqual((again.returncode, again.stderr), (0, ""))
        def values(text):
            return [line for line in text.splitlines() if not line.startswith(";")]
        self.assertEqual(values(again.stdout), values(first.stdout))

    def test_an_option_wins_over_the_file_and_says_so(self):
        path = self.path("attnd.conf", "[daemon]\nshards = 3\n")
        self.assertRegex(run("--check", "--config", path, "--shards", "5").stdout, r"\(--shards\)\nshards = 5\n")

    def test_every_mistake_is_told_with_its_line(self):
        cases = [("[limits]\nstream = 7\n",
                  ":2: unknown key 'stream' in [limits]; did you mean 'streams' in [limits]?"),
                 ("[limits]\nfoo_bar_baz = 7\n",
                  ":2: unknown key 'foo_bar_baz' in [limits]; its keys are: connections connections_per_user streams"),
                 ("[limts]\nxyzzyxyzzy = 7\n",
                  ":2: unknown key 'xyzzyxyzzy' in unknown section [limts]; the sections are: [listen]"),
                 ("[limits]\n\nstreams = many\n", ":3: streams is 'many', which is not a number"),
                 ("[limits]\nstreams = 0\n", ":2: streams is 0; it has to be from 1 to"),
                 ("[limits]\nstreams = -1\n", "not a number"),
                 ("[limits]\nstreams = 1\nstreams = 2\n", ":3: streams is given twice; the first is in line 2"),
                 ("[limits]\nmessage_bytes = 1X\n", "not a size such as 64K"),
                 ("[limits]\nmessage_bytes = 99999999999999999999G\n", "not a size"),
                 ("[listen]\nmode = 999\n", "not octal permissions"),
                 ("[listen]\nsocket = /" + "x" * 120 + "\n", "121 bytes long; it has to be 1 to 107 bytes"),
                 ("[daemon]\nlog_level = loud\n", "error, warning, info or debug"),
                 ("[limits\nstreams = 1\n", ":1: this is neither"),
                 ("[limits]\nstreams = " + "1" * 400 + "\n", ":2: the line is longer")]
        for text, message in cases:
            result = self.check(text)
            self.assertEqual(result.returncode, os.EX_CONFIG, text)
            self.assertIn(message, result.stderr)
            self.assertEqual(result.stdout, "")

    def test_all_mistakes_of_a_file_are_told_at_once(self):
        result = self.check("[limits]\nstreams = no\nconnections = 0\nnosuchkeyhere = 1\n")
        self.assertEqual(len(result.stderr.splitlines()), 3)

    def test_a_file_that_was_asked_for_must_exist(self):
        result = run("--check", "--config", self.path("nowhere.conf"))
        self.assertEqual(result.returncode, os.EX_CONFIG)
        self.assertIn("nowhere.conf", result.stderr)

    def test_the_file_that_is_installed_names_every_key_with_its_default(self):
        with open(os.path.join(SRCDIR, "etc", "attnd.conf.in"), encoding="utf-8") as file:
            text = file.read()
        uncommented = re.sub(r"^;(?=[a-z_]+ =)", "", text, flags=re.MULTILINE).replace("@modeldir@", self.folder)
        given = self.check(uncommented)
        self.assertEqual((given.returncode, given.stderr), (0, ""))
        default = self.check("")
        def values(output):
            lines = [line for line in output.splitlines() if not line.startswith(";")]
            return [re.sub(r"^directories = .*", "directories", line) for line in lines]
        self.assertEqual(values(given.stdout), values(default.stdout))
        self.assertNotIn("(default)", given.stdout)


    def test_the_manual_names_every_key_in_its_section_with_its_default(self):
        with open(os.path.join(SRCDIR, "man", "attnd.conf.5"), encoding="utf-8") as file:
            manual = file.read()
        section = None
        for line in self.check("").stdout.splitlines():
            if line.startswith("["):
                section = manual.split(f".Ss {line}")[1].split(".Ss ")[0]
            elif " = " in line and not line.startswith(";"):
                self.assertIn(f".It Cm {line.split()[0]} ", section)
                about = section.split(f".It Cm {line.split()[0]} ")[1].split(".It ")[0]
                self.assertEqual("A change needs a restart." in about, "needs a restart" in before, line)
            before = line


class Start(Folder):
    def test_a_second_start_refuses_and_leaves_the_live_socket_alone(self):
        with Daemon() as daemon:
            second = run("--config", daemon.config, "--socket", daemon.socket)
            self.assertEqual(second.returncode, 1)
            self.assertIn(f"another attnd serves {daemon.socket}", second.stderr)
            with daemon.client() as client:
                self.assertEqual(client.request("ping")["server"], "attnd")

    def test_a_socket_that_somebody_else_listens_on_is_left_alone(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path("a.sock"))
            other.listen()
            result = run("--socket", self.path("a.sock"))
            self.assertEqual(result.returncode, 1)
            self.assertIn("somebody listens on", result.stderr)
            harness.socket_connect(self.path("a.sock")).close()

    def test_a_file_that_is_no_socket_is_left_alone(self):
        result = run("--socket", self.path("a.sock", "precious"))
        self.assertIn("is no socket", result.stderr)
        with open(self.path("a.sock"), encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")
        self.assertEqual(os.listdir(self.folder), ["a.sock"])

    def test_after_a_kill_the_stale_socket_is_replaced(self):
        first = Daemon()
        with self.assertRaises(AssertionError), first:
            self.assertEqual(first.stop(signal.SIGKILL), -signal.SIGKILL)
            shutil.copytree(first.folder, self.folder, dirs_exist_ok=True, ignore=lambda *_: ["attnd.sock"])
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(self.path("a.sock"))
            again = subprocess.Popen([ATTND, "--socket", self.path("a.sock")], stderr=subprocess.DEVNULL)
            until(lambda: listens(self.path("a.sock")))
            harness.Client(self.path("a.sock")).socket.close()
            again.terminate()
            self.assertEqual(again.wait(PATIENCE_S), 0)
            self.assertFalse(os.path.exists(self.path("a.sock")))

    def test_a_folder_that_does_not_exist_is_named(self):
        result = run("--socket", self.path("nowhere/a.sock"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("nowhere/a.sock.lock cannot be opened", result.stderr)

    def test_a_group_that_does_not_exist_is_named(self):
        config = self.path("attnd.conf", "[listen]\ngroup = nosuchgroup\n")
        result = run("--config", config, "--socket", self.path("a.sock"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("groupadd -r nosuchgroup", result.stderr)
        self.assertEqual(os.listdir(self.folder), ["attnd.conf"])

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_who_has_no_permission_on_the_socket_is_kept_out(self):
        with Daemon() as daemon:
            os.chmod(daemon.folder, 0o755)
            script = f"import socket; socket.socket(socket.AF_UNIX).connect({daemon.socket!r})"
            nobody = pwd.getpwnam("nobody")
            result = subprocess.run([os.sys.executable, "-c", script], user=nobody.pw_uid, group=nobody.pw_gid,
                                    extra_groups=[], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertIn("PermissionError", result.stderr)
            with daemon.client() as client:
                self.assertEqual(client.request("ping")["server"], "attnd")

    @unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
    def test_another_users_stream_is_denied(self):
        with Daemon(config="[listen]\nmode = 0666\n") as daemon, daemon.client() as client:
            os.chmod(daemon.folder, 0o755)
            stream = client.open_attention(name="mine")["stream"]
            script = ("import sys; sys.path.insert(0, sys.argv[1]); import harness; c = harness.Client(sys.argv[2])\n"
                      "for m in ('info', 'reset', 'close'):\n"
                      "    try: c.request(m, stream=int(sys.argv[3]))\n"
                      "    except harness.RpcError as e: print(e.name)\n"
                      "print(c.request('streams')['streams'])\n")
            nobody = pwd.getpwnam("nobody")
            command = [os.sys.executable, "-c", script, os.path.dirname(harness.__file__), daemon.socket, str(stream)]
            result = subprocess.run(command, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
                                    capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            if "PermissionError" in result.stderr or "No module" in result.stderr:
                self.skipTest("the tests' folder cannot be read by others")
            self.assertEqual(result.stdout.splitlines(), ["denied"] * 3 + ["[]"], result.stderr)
            self.assertEqual(client.request("info", stream=stream)["name"], "mine")

    def test_a_model_with_overlapping_tensors_is_named_and_left_out(self):
        models = self.path("models")
        os.mkdir(models)
        header = (b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},'
                  b'"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}')
        for name, content in (("overlap", struct.pack("<Q", len(header)) + header + bytes(24)), ("empty", b""),
                              ("huge", struct.pack("<Q", 1 << 62))):
            self.path(f"models/{name}.safetensors", content)
        with Daemon("--models", models) as daemon, daemon.client() as client:
            self.assertEqual(client.hello["models"], [])
            log = daemon.log()
            for name in ("overlap", "empty", "huge"):
                self.assertRegex(log, rf"model {models}/{name}\.safetensors is not served: .+")
            stream = client.open_attention()["stream"]
            client.push(stream, 0, numpy.zeros((1, 6)))
            client.outputs(1)

    def test_a_model_directory_that_was_asked_for_must_exist(self):
        result = run("--socket", self.path("a.sock"), "--models", self.path("nowhere"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("nowhere cannot be read", result.stderr)

    def test_no_thread_but_its_own_is_started(self):
        process = subprocess.Popen([ATTND, "--socket", self.path("a.sock"), "--shards", "1"],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: listens(self.path("a.sock")))
            harness.Client(self.path("a.sock")).socket.close()
            names = [open(path, encoding="ascii").read() for path in glob.glob(f"/proc/{process.pid}/task/*/comm")]
            self.assertLessEqual(len(names), 3 if harness.SANITIZERS else 2)
            with open(f"/proc/{process.pid}/comm", encoding="ascii") as file:
                self.assertEqual(file.read(), "attnd\n")     # what pgrep and pidof look for
        finally:
            process.terminate()
            self.assertEqual(process.wait(PATIENCE_S), 0)


class Stop(Folder):
    def test_sigterm_settles_what_was_accepted_and_says_why_it_ends(self):
        with Daemon(config="[timeouts]\ndrain_ms = 86400000\n") as daemon, daemon.client() as client:
            opened = client.open_attention(window=1024, head_dim=64)
            credit = opened["credit"]
            client.push(opened["stream"], 0, numpy.ones((credit, 192)))
            client.request("ping")      # the push was read before it
            daemon.process.terminate()
            told = list(client.notifications)
            client.notifications = []
            while (message := client.notification()) is not None:
                told.append((None, *message) if len(message) == 2 else message)
            methods = [entry[1] for entry in told]
            self.assertEqual(methods.count("output"), credit)
            self.assertEqual([e[2]["event"] for e in told if e[1] == "event"], ["drain"])
            self.assertEqual((methods[-1], told[-1][2]["name"]), ("error", "draining"))
            self.assertEqual(daemon.process.wait(PATIENCE_S), 0)
            self.assertFalse(os.path.exists(daemon.socket))

    def test_what_cannot_be_settled_in_time_is_dropped_and_named(self):
        with Daemon(config="[timeouts]\ndrain_ms = 0\n") as daemon, daemon.client() as client:
            opened = client.open_attention(window=4096, heads=4, head_dim=256)
            credit = opened["credit"]
            client.push(opened["stream"], 0, numpy.ones((credit, 3072)))
            client.request("ping")
            daemon.process.terminate()
            outputs = sum(1 for message in client.notifications if message[1] == "output")
            client.notifications = []
            dropped = 0
            while (message := client.notification()) is not None:
                outputs += message[0] == "output"
                if message[0] == "event" and message[1]["event"] == "dropped":
                    self.assertEqual((message[1]["first"], message[1]["reason"]), (outputs, "draining"))
                    dropped = message[1]["count"]
            self.assertEqual(outputs + dropped, credit)
            self.assertEqual(daemon.process.wait(PATIENCE_S), 0)

    def test_a_second_signal_ends_at_once(self):
        daemon = Daemon(config=HOLDING_BACK + "drain_ms = 86400000\n")
        with self.assertRaises(AssertionError), daemon:
            client = daemon.client()
            opened = client.open(attention=WIDE)        # nobody reads: the daemon can never settle this
            client.push(opened["stream"], 0, numpy.zeros((opened["credit"], opened["input_dim"])))
            client.request("ping")
            daemon.process.terminate()
            until(lambda: "once more ends at once" in daemon.log())
            self.assertIsNone(daemon.process.poll())
            self.assertEqual(daemon.stop(), 1)
            client.socket.close()

    def test_who_waits_to_be_accepted_is_told_why_it_ends(self):
        with Daemon() as daemon:
            daemon.process.send_signal(signal.SIGSTOP)
            clients = [daemon.client(hello=False) for _ in range(400)]
            daemon.process.terminate()
            daemon.process.send_signal(signal.SIGCONT)
            for client in clients:
                method, error = client.notification()
                self.assertEqual((method, error["name"]), ("error", "draining"))
                self.assertIsNone(client.notification())
                client.socket.close()
            self.assertEqual(daemon.process.wait(PATIENCE_S), 0)

    def test_a_stop_right_after_the_socket_is_there_is_a_graceful_one(self):
        for number in range(10):
            path = self.path(f"{number}.sock")
            process = subprocess.Popen([ATTND, "--socket", path], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not os.path.exists(path) and process.poll() is None:
                time.sleep(0.0001)
            process.terminate()
            self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_sighup_and_sigpipe_change_nothing(self):
        with Daemon() as daemon, daemon.client() as client:
            for number in (signal.SIGHUP, signal.SIGPIPE) * 50:
                daemon.process.send_signal(number)
            self.assertEqual(client.request("ping")["server"], "attnd")

    def test_it_ends_with_the_pipe_that_it_was_told_to_watch(self):
        reading, writing = os.pipe()
        process = subprocess.Popen([ATTND, "--socket", self.path("a.sock"), "--until-eof", str(reading)],
                                   pass_fds=[reading], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(reading)
        until(lambda: listens(self.path("a.sock")))
        client = harness.Client(self.path("a.sock"))
        self.assertEqual(client.request("ping")["server"], "attnd")
        os.close(writing)
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertEqual(os.listdir(self.folder), [])
        client.socket.close()


if __name__ == "__main__":
    harness.main()
