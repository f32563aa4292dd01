# SPDX-License-Identifier: MIT
"""attnctl top on a terminal of its own, and as JSON; and what stats shows to people."""
import fcntl
import itertools
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import numpy

import attnctl_case
import harness
from harness import Daemon, until

ENTER, LEAVE = "\033[?1049h", "\033[?25h\033[?1049l"


class Terminal:
    """A terminal with a program in it. `frames` are the pictures that it drew."""

    def __init__(self, case, *arguments, rows=24, columns=80):
        self.ours, theirs = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(theirs)
        environment = {**case.environment, "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        # In a session of its own, with this as its terminal, as a shell would have it.
        self.process = subprocess.Popen([harness.ATTNCTL, *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
                                        env=environment, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.theirs = theirs
        self.shown = ""
        case.addCleanup(os.close, self.ours)
        case.addCleanup(os.close, theirs)
        case.addCleanup(self.process.wait)
        case.addCleanup(self.process.kill)

    def resize(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.ours], [], [], 0)[0]:
            self.shown += os.read(self.ours, 1 << 16).decode(errors="replace")

    def until(self, condition):
        def holds():
            self.read()
            return condition(self)
        return until(holds, lambda: f"it did not come to that:\n{self.shown[-3000:]}")

    def frames(self):
        """Each whole picture as a list of lines without colours."""
        pictures = self.shown.split("\033[H")[1:]
        return [[plain(line) for line in picture.split("\033[J")[0].split("\r\n")] for picture in pictures
                if "\033[J" in picture]

    def last(self):
        return self.frames()[-1]

    def press(self, keys):
        os.write(self.ours, keys)

    def end(self):
        """Its exit status, after all that it wrote was read: what is written behind it comes after it."""
        self.until(lambda _: self.process.poll() is not None)
        os.write(self.theirs, b"[the end]")
        self.until(lambda terminal: "[the end]" in terminal.shown)
        return self.process.returncode

    def is_as_before(self):
        return termios.tcgetattr(self.theirs) == self.before and self.shown.rfind(LEAVE) > self.shown.rfind(ENTER)


def plain(line):
    for escape in ("\r", "\033[K", "\033[0m", "\033[1m", "\033[2m", "\033[7m"):
        line = line.replace(escape, "")
    return line


def is_drawn(terminal):
    return len(terminal.frames()) > 0


class Top(attnctl_case.Case):
    def serve(self, *arguments):
        return self.enterContext(Daemon("--shards", "2", "--models", self.path("models"), *arguments))

    def top(self, daemon, *arguments, **size):
        terminal = Terminal(self, "--socket", daemon.socket, "top", "--interval", "0.1", *arguments, **size)
        terminal.until(is_drawn)
        return terminal

    def test_the_picture_names_streams_shards_and_rates(self):
        daemon = self.serve()
        with daemon.client() as client:
            busy = client.open(model="tiny", name="kitchen")["stream"]
            client.open_attention(name="cellar")
            terminal = self.top(daemon, columns=120)
            number = itertools.count()

            def shows_a_rate(shown):
                client.push(busy, next(number), numpy.zeros((1, attnctl_case.INPUT_DIM)))
                client.outputs(1)
                text = "\n".join(shown.last())      # a frame may come between what is told of all and of each
                return (re.search(r"kitchen +tiny +\d+ +\d+\.\d +[1-9]\d*\.\d", text) and
                        re.search(r"[1-9]\d* frames/s +lag p50 \d+\.\d\d ms", text))
            terminal.until(shows_a_rate)
            text = "\n".join(terminal.last())
            self.assertRegex(text, r"attnd .* 2 streams \(0 parked\) +2 connections")
            self.assertRegex(text, r"shard 0 +\[.*\] +\d+ %")
            self.assertRegex(text, r"shard 1 +\[.*\] +\d+ %")
            self.assertRegex(text, r"kitchen +tiny")
            self.assertRegex(text, r"cellar +attention")
            terminal.press(b"q")
            self.assertEqual(terminal.end(), 0)
            self.assertTrue(terminal.is_as_before())

    def test_nothing_is_cleared_before_it_is_drawn_anew(self):
        terminal = self.top(self.serve())
        terminal.until(lambda t: len(t.frames()) > 3)
        terminal.press(b"q")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.shown.count("\033[2J"), 1)    # at the beginning alone

    def test_every_way_to_end_it_gives_the_terminal_back(self):
        daemon = self.serve()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGABRT):
            terminal = self.top(daemon)
            self.assertNotEqual(termios.tcgetattr(terminal.theirs), terminal.before)
            terminal.process.send_signal(number)
            self.assertEqual(terminal.end(), -number)
            self.assertTrue(terminal.is_as_before(), number)
        terminal = self.top(daemon)
        terminal.press(b"\x03")     # Ctrl-C, as the terminal has it
        self.assertEqual(terminal.end(), -signal.SIGINT)
        self.assertTrue(terminal.is_as_before())

    def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(self):
        terminal = self.top(self.serve())
        # The group of an own session has no parent to have it go on, so that the kernel lets it not stop; what is to be
        # seen is that it leaves the screen and takes it again.
        terminal.press(b"\x1a")
        terminal.until(lambda t: LEAVE in t.shown)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda t: t.shown.rfind(ENTER) > t.shown.rfind(LEAVE))
        n_frames = len(terminal.frames())
        terminal.until(lambda t: len(t.frames()) > n_frames)
        terminal.press(b"q")
        self.assertEqual(terminal.end(), 0)
        self.assertTrue(terminal.is_as_before())

    def test_a_daemon_that_ends_is_told_on_the_terminal_as_it_was(self):
        daemon = self.serve()
        terminal = self.top(daemon)
        daemon.stop()
        self.assertIn(terminal.end(), (1, 3))
        self.assertTrue(terminal.is_as_before())
        self.assertIn("attnctl: ", terminal.shown[terminal.shown.rfind(LEAVE):])

    def test_the_picture_follows_the_window(self):
        daemon = self.serve()
        with daemon.client() as client:
            for i in range(60):
                client.open_attention(name=f"stream-{i:02}-with-a-long-name")
            terminal = self.top(daemon, rows=12, columns=60)
            for rows, columns in ((40, 150), (6, 20), (1, 1), (24, 80)):
                terminal.resize(rows, columns)      # pictures for the old window may still be on their way

                def fits(shown):
                    lines, wide = shown.last(), max(len(line) for line in shown.last())
                    return len(lines) == rows and wide <= columns and (sum("stream-" in line for line in lines) > 0) == (rows > 1)
                terminal.until(fits)
            terminal.press(b"q")
            self.assertEqual(terminal.end(), 0)

    def test_keys_sort_the_streams(self):
        daemon = self.serve()
        with daemon.client() as client:
            for name in ("beta", "alpha", "gamma"):
                client.open_attention(name=name)
            busy = client.open_attention(name="zebra", window=2000, head_dim=64)
            client.push(busy["stream"], 0, numpy.zeros((20, 192)))
            client.outputs(20)
            terminal = self.top(daemon, columns=120)

            def names(shown):
                lines = shown.last()
                first = next(i for i, line in enumerate(lines) if "STREAM NAME" in line)
                return [line.split()[1] for line in lines[first + 1:-1]]

            terminal.press(b"n")
            terminal.until(lambda t: names(t) == ["alpha", "beta", "gamma", "zebra"] and "by name" in t.last()[-1])
            terminal.press(b"l")        # the lag of the newest output
            terminal.until(lambda t: names(t)[0] == "zebra" and "by lag" in t.last()[-1])
            terminal.press(b"q")
            self.assertEqual(terminal.end(), 0)

    def test_a_name_cannot_move_the_cursor(self):
        """A model's file may have any name, and its streams show it."""
        os.rename(self.path("models/tiny.safetensors"), self.path("models/tiny\u009b2J.safetensors"))
        daemon = self.serve()
        with daemon.client() as client:
            try:
                client.open(model="tiny\u009b2J", name="x")
            except harness.RpcError:
                return      # the daemon takes no such name: nothing to show
            terminal = self.top(daemon)
            self.assertNotIn("\u009b", terminal.shown)

    def test_without_a_terminal_there_is_an_object_a_look(self):
        daemon = self.serve()
        with daemon.client() as client:
            client.open(model="tiny", name="kitchen")
            looks = self.lines("--socket", daemon.socket, "top", "-i", "0.05", "-c", "3")
            self.assertEqual([(look["frames"], look["streams"]) for look in looks], [(0, 1)] * 3)

    def test_a_look_tells_what_was_done_since_the_one_before(self):
        daemon = self.serve()
        with daemon.client() as client:
            stream = client.open(model="tiny", name="kitchen")["stream"]
            process = self.start("--socket", daemon.socket, "top", "-i", "0.1")
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
            json.loads(process.stdout.readline())       # from here on it looks
            frames = numpy.zeros((8, attnctl_case.INPUT_DIM))
            client.push(stream, 0, frames)
            client.outputs(len(frames))
            looks = []

            def has_told_all():         # a look may come between a frame and its output
                looks.append(json.loads(process.stdout.readline()))
                return (sum(look["frames"] for look in looks) >= len(frames) and any(look["lag_us"]["p50"] > 0 for look in looks) and
                        any(look["top"][0]["cpu"] > 0 for look in looks))
            until(has_told_all)
            self.assertEqual(sum(look["frames"] for look in looks), len(frames))
            for look in looks:
                self.assertAlmostEqual(look["frames_per_s"], look["frames"] / look["interval_s"], 3)
                self.assertEqual(len(look["shards"]), 2)
                self.assertTrue(all(0 <= shard["utilisation"] for shard in look["shards"]))
                self.assertEqual([(entry["stream"], entry["name"]) for entry in look["top"]], [(stream, "kitchen")])
                self.assertLessEqual(look["lag_us"]["p50"], look["lag_us"]["p99"])

    def test_the_most_streams_of_a_line_and_their_order(self):
        daemon = self.serve()
        with daemon.client() as client:
            for name in ("b", "c", "a"):
                client.open_attention(name=name)
            look, = self.lines("--socket", daemon.socket, "top", "-i", "0.05", "-c", "1", "-s", "name", "-n", "2")
            self.assertEqual([entry["name"] for entry in look["top"]], ["a", "b"])
            self.assertEqual(look["streams"], 3)

    def test_wrong_options_are_named(self):
        for arguments, what in ((["-i", "0"], "0.05 to 3600"), (["-i", "nan"], "0.05 to 3600"),
                                (["-c", "0"], "from 1 on"), (["-s", "colour"], "cpu, lag, late, queue, name"),
                                (["x"], "no argument")):
            _, errors = self.run_attnctl("top", *arguments, status=2)
            self.assertIn(what, errors)

    def test_stats_are_tables_for_people(self):
        daemon = self.serve()
        with daemon.client() as client:
            client.open(model="tiny")
            client.open_attention(name="x")
            shown = self.on_terminal("--socket", daemon.socket, "stats")
            self.assertRegex(shown, r"shard +utilisation +claimed +queue +oldest_wait_us.* lag_us p99 ")
            self.assertRegex(shown, r"\n0 +0[.0-9]* +0 +0 +0 ")
            self.assertRegex(shown, r"\nattention +1 ")
            self.assertRegex(shown, r"\ntiny +1 ")
            listed = self.on_terminal("--socket", daemon.socket, "streams")
            self.assertRegex(listed, r"^name +model +stream ")      # the columns of both, though none has both
            self.assertRegex(listed, r"\n- +tiny +1 ")


if __name__ == "__main__":
    harness.main()
