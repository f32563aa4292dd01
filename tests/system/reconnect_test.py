# SPDX-License-Identifier: MIT
"""libattnclient and attnd: a caller that loses its connection again and again has every answer, to the bit."""
import os
import subprocess
import unittest

import harness

RECONNECT = os.path.join(harness.BUILDDIR, "tests", "system", "reconnect")


class Reconnect(unittest.TestCase):
    def setUp(self):
        self.daemons = [harness.Daemon() for _ in range(2)]
        for daemon in self.daemons:
            daemon.__enter__()
            self.addCleanup(daemon.__exit__)
        self.whole = self.outputs("whole", 1)

    def outputs(self, mode, k):
        done = subprocess.run([RECONNECT, mode, str(k), *(daemon.socket for daemon in self.daemons)], timeout=harness.PATIENCE_S,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def test_a_stream_goes_on_where_it_was_attached_again(self):
        for k in (1, 2, 7, 40, 100):
            self.assertEqual(self.outputs("attach", k), self.whole, k)
        with self.daemons[0].client() as client:
            stats = client.request("stats")
        self.assertGreater(stats["attached"], 100)
        self.assertEqual((stats["opened"], stats["streams"]), (6, 0))

    def test_a_stream_is_rebuilt_in_another_daemon_from_the_frames_that_were_kept(self):
        for k in (40, 60, 100):
            self.assertEqual(self.outputs("replay", k), self.whole, k)


if __name__ == "__main__":
    harness.main()
