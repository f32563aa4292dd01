# SPDX-License-Identifier: MIT
"""What the tests of reloading share: folders of models, SIGHUP, and waiting for what the log says of it."""
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest

from harness import ATTND, PATIENCE_S, SRCDIR, until

GOLDEN = os.path.join(SRCDIR, "tests", "golden", "encoder")
DONE = re.compile("the configuration was read again[;,]? ?(.*)")
READ, REFUSED = "serving", "and is not used"


def golden(name):
    return os.path.join(GOLDEN, f"{name}.safetensors")


def golden_file(name):
    with open(golden(name), "rb") as file:
        return file.read()


def run(*arguments):
    return subprocess.run([ATTND, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)


def with_not_a_number(data):
    """The model with its last weight no number: only a loader that looks at all of them sees it."""
    return data[:-4] + struct.pack("<f", float("nan"))


class ReloadCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="attnd-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.models = os.path.join(self.folder, "models")
        os.mkdir(self.models)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, path, text):
        """As the manual says: another file under the same name, by rename."""
        data = text if isinstance(text, bytes) else text.encode()
        with open(f"{path}.new", "wb") as file:
            file.write(data)
        os.rename(f"{path}.new", path)

    def put_model(self, name, data):
        self.write(os.path.join(self.models, f"{name}.safetensors"), data if isinstance(data, bytes) else golden_file(data))

    def remove_model(self, name):
        os.remove(os.path.join(self.models, f"{name}.safetensors"))

    def reload(self, daemon, expected=READ):
        """Sends SIGHUP, waits until the daemon has done it, and returns what it logged meanwhile."""
        before = self.log_of_start(daemon)
        daemon.process.send_signal(signal.SIGHUP)
        return self.wait(daemon, before, expected)

    def log_of_start(self, daemon):
        """What it has logged; it listens a little before it has loaded its models and serves."""
        return until(lambda: (log := daemon.log()) and "shards\n" in log and log)

    def wait(self, daemon, before, expected=READ):
        def done():
            log = daemon.log()[len(before):]
            return DONE.search(log) if log.endswith("\n") else None
        end = until(done, lambda: f"no end of a reload:\n{daemon.log()}")
        self.assertTrue(end.group(1).startswith(expected), end.string)
        return end.string
