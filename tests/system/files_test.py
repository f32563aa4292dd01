# SPDX-License-Identifier: MIT
"""What attnd finds in place of a file, or of its standard descriptors, is told in the log; it serves all the same, or says
why it cannot, and can be stopped."""
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import ATTND, PATIENCE_S, SRCDIR, Daemon, until

MODEL = os.path.join(SRCDIR, "etc", "models", "sounds.safetensors")


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="attnd-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)


class Descriptors(Folder):
    """The daemon as a manager, a shell script or a program may start it."""

    def start(self, redirections="", **options):
        script = f'exec "$0" --config /dev/null --socket "$1" --shards 1 {redirections}'
        process = subprocess.Popen(["sh", "-c", script, ATTND, self.path("socket")], **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until(lambda: process.poll() is not None or harness.listens(self.path("socket")))
        return process

    def serves(self):
        with harness.Client(self.path("socket")) as client:
            stream = client.open_attention()["stream"]
            client.push(stream, 0, bytes(24))
            self.assertEqual(len(client.outputs(1)), 1)

    def test_closed_ones_change_nothing(self):
        for closed in ("<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
            process = self.start(closed, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.serves()
            process.terminate()
            self.assertEqual(process.wait(PATIENCE_S), 0, closed)

    def test_what_is_printed_to_a_closed_one_is_missed(self):
        status = subprocess.call(["sh", "-c", 'exec "$0" --check --config /dev/null >&-', ATTND], stderr=subprocess.DEVNULL)
        self.assertNotEqual(status, 0)

    def test_standard_error_that_nobody_reads_holds_nothing_up(self):
        reads, writes = os.pipe()
        self.addCleanup(os.close, reads)
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writes, b"x" * 4096)
        process = self.start(stderr=writes)
        os.close(writes)
        self.serves()
        for _ in range(3):      # each is several lines
            process.send_signal(signal.SIGHUP)
            self.serves()
        self.assertEqual(os.read(reads, 4096), b"x" * 4096)
        process.terminate()
        with open(reads, "rb", closefd=False) as rest:
            told = rest.read().decode()
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertRegex(told, r"lines of this log were lost, as nobody read it or it was full: \d+\n")

    def test_it_outlives_who_read_its_standard_error(self):
        reads, writes = os.pipe()
        process = self.start(stderr=writes)
        os.close(writes)
        os.close(reads)
        process.send_signal(signal.SIGHUP)
        self.serves()
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)


class Costs(Folder):
    """Whatever stands where costs are kept, the daemon starts, says what it is, and has a file of its own there in the end."""

    def setUp(self):
        super().setUp()
        self.file = self.path("costs")

    def daemon(self):
        return Daemon("--model", MODEL, "--shards", "1", environment={"STATE_DIRECTORY": self.folder})

    def is_told_and_replaced(self, words):
        with self.daemon() as daemon, daemon.client() as client:
            self.assertIn(f"{self.file} {words}", daemon.log())
            client.open(model="sounds", rate=1)
        self.assertEqual(os.listdir(self.folder), ["costs"])
        self.assertFalse(os.path.islink(self.file))
        with self.daemon() as daemon, daemon.client():
            self.assertIn("nothing to measure", daemon.log())

    def test_a_fifo(self):
        os.mkfifo(self.file)
        self.is_told_and_replaced("cannot be read: it is a FIFO")

    def test_a_device_without_an_end(self):
        os.symlink("/dev/zero", self.file)
        self.is_told_and_replaced("cannot be read: it is a device")

    def test_a_sparse_file(self):
        with open(self.file, "wb") as file:
            file.truncate(1 << 40)
        self.is_told_and_replaced("cannot be read: it has 1099511627776 bytes")

    def test_a_link_where_the_new_file_is_made(self):
        victim = os.path.join(tempfile.mkdtemp(prefix="attnd-test-"), "victim")
        self.addCleanup(shutil.rmtree, os.path.dirname(victim))
        with open(victim, "w", encoding="ascii") as file:
            file.write("precious")
        os.symlink(victim, f"{self.file}.new")
        with self.daemon() as daemon, daemon.client():
            pass
        with open(victim, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")
        self.assertEqual(os.listdir(self.folder), ["costs"])

    def test_a_fifo_where_the_new_file_is_made(self):
        os.mkfifo(f"{self.file}.new")
        with self.daemon() as daemon, daemon.client():
            pass
        self.assertEqual(os.listdir(self.folder), ["costs"])

    def scaled(self, cost_ns):
        with self.daemon() as daemon, daemon.client():
            pass
        with open(self.file, encoding="utf-8") as file:
            lines = [f"{line.split(' = ')[0]} = {cost_ns}\n" if line.startswith("batch_") else line for line in file]
        with open(self.file, "w", encoding="utf-8") as file:
            file.writelines(lines)

    def test_a_cost_that_cannot_be(self):
        self.scaled(900_000_000_000)
        self.is_told_and_replaced("is damaged")

    def test_a_cost_that_is_not_true(self):
        self.scaled(900_000_000)
        with self.daemon() as daemon, daemon.client() as client:
            self.assertIn("a frame of 'sounds' is said to cost 900000 us", daemon.log())
            client.open(model="sounds", rate=1)
            self.assertLess(client.request("models")["models"][0]["cost_us"], 900_000)


class Models(Folder):
    def test_a_name_that_is_no_text_spoils_nobodys_hello(self):
        folder = os.fsencode(self.folder)
        for name in (b"good", b"b\xffd", b"b\x1b[31md"):
            shutil.copy(MODEL, os.path.join(folder, name + b".safetensors"))
        with Daemon("--shards", "1", "--models", self.folder) as daemon, daemon.client() as client:
            self.assertEqual([model["name"] for model in client.request("models")["models"]], ["good"])
            self.assertIn("/b?d.safetensors is not served: its name has to be", daemon.log())
            self.assertIn("/b?[31md.safetensors is not served: its name has to be", daemon.log())

    def test_where_costs_come_from_is_told_without_a_file_too(self):
        for name in ("a", "b"):
            shutil.copy(MODEL, self.path(f"{name}.safetensors"))
        with Daemon("--shards", "1", "--models", self.folder) as daemon, daemon.client() as client:
            self.assertEqual(len(client.request("models")["models"]), 2)
            self.assertIn("costs of 1 models measured", daemon.log())
            self.assertIn("those of the others are from models that are the same", daemon.log())

    def test_they_take_of_the_memory_of_states(self):
        for name in ("a", "b"):
            shutil.copy(MODEL, self.path(f"{name}.safetensors"))
        with Daemon("--shards", "1", "--models", self.folder, config="[limits]\nstate_bytes = 1000000\n") as daemon, \
                daemon.client() as client:
            self.assertEqual([model["name"] for model in client.request("models")["models"]], ["a"])
            self.assertIn("b.safetensors is not served: it takes 703792 bytes, and 296208 of 1000000 are left", daemon.log())
            with self.assertRaises(harness.RpcError) as caught:
                client.open_attention(window=1000, head_dim=128)
            self.assertEqual(caught.exception.name, "over_capacity")
            self.assertIn("beside models, which take 703792", caught.exception.error["message"])


class Configuration(Folder):
    """At a start, a configuration that cannot be read is told, and the daemon ends; at a reload it keeps the old one."""

    def test_what_is_no_file(self):
        fifo, huge = self.path("fifo"), self.path("huge")
        os.mkfifo(fifo)
        with open(huge, "wb") as file:
            file.truncate(1 << 40)
        for path, words in ((fifo, "FIFO"), (huge, "1099511627776 bytes"), ("/dev/zero", "device"), (self.folder, "directory")):
            told = subprocess.run([ATTND, "--config", path], stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE_S)
            self.assertEqual(told.returncode, os.EX_CONFIG)
            self.assertIn(f"{path}: the configuration cannot be read: it", told.stderr)
            self.assertIn(words, told.stderr)

    def test_at_a_reload(self):
        with Daemon("--shards", "1") as daemon:
            until(lambda: "shards\n" in daemon.log())
            for number, target in enumerate(("/dev/zero", "fifo", self.folder), 1):
                if target == "fifo":
                    target = self.path("fifo")
                    os.mkfifo(target)
                os.symlink(target, f"{daemon.config}.new")
                os.rename(f"{daemon.config}.new", daemon.config)
                daemon.process.send_signal(signal.SIGHUP)
                until(lambda: daemon.log().count("is not used: the old one") == number)     # noqa: B023
                self.assertIn(f"{daemon.config}: the configuration cannot be read: it is a", daemon.log())
                daemon.client().socket.close()

    def test_its_words_are_no_commands_to_a_terminal(self):
        path = self.path("attnd.conf")
        with open(path, "wb") as file:
            file.write(b"[limits]\n\x1b[31mstreams\xff = 5")
        told = subprocess.run([ATTND, "--config", path], stderr=subprocess.PIPE, check=False, timeout=PATIENCE_S)
        self.assertEqual(told.returncode, os.EX_CONFIG)
        self.assertIn(b"unknown key '?[31mstreams?'", told.stderr)


if __name__ == "__main__":
    harness.main()
