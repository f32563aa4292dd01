# SPDX-License-Identifier: MIT
"""attnctl and a daemon that says what no daemon should: it ends with one message, and shows nothing that acts."""
import os
import pty
import re
import struct

import numpy

import attnctl_case
import harness
from attnctl_case import sound, write_wav

# A title, a colour by C1, a deletion, two lines, a text that runs backwards, an isolate, a line's end, nothing visible.
ACTING = "\x1b]0;owned\x07\u009b31m\x7f\n\u202egnp\u2066\u2028\u200b\U000e0041"

# What attnctl itself draws with.
OWN = "\x1b\\[(\\?1049[hl]|\\?25[hl]|H|2?J|K|[0127]m|32m)"


class Hostile(attnctl_case.Scripted):
    def setUp(self):
        super().setUp()
        write_wav(self.path("tone.wav"), sound(0.5))

    def complaint(self, *arguments):
        """The one line that is said."""
        _, errors = self.run_attnctl(*arguments, status=1)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        return errors

    def test_a_frame_of_another_size_than_the_list_said(self):
        for input_dim in (1, 100000):
            self.serve(open={**attnctl_case.OPENED, "input_dim": input_dim})
            self.assertIn(f"have {input_dim} floats, and in its list 256", self.complaint("stream", self.path("tone.wav")))

    def test_raw_attention_of_another_size_than_was_asked_for(self):
        numpy.save(self.path("in.npy"), numpy.zeros((50, 3, 1, 2), "f4"))
        for input_dim in (1, 100000):
            self.serve(open={**attnctl_case.OPENED, "input_dim": input_dim})
            errors = self.complaint("attend", "--window", "4", "-o", self.path("out.npy"), self.path("in.npy"))
            self.assertIn(f"have {input_dim} floats, those of {self.path('in.npy')} 6", errors)

    def test_an_output_for_a_frame_that_was_never_sent_does_not_fill_the_disk(self):
        far = harness.pack([2, "output", [1, 1 << 40, struct.pack("<2f", 0, 0), {"position": 0, "lag_us": 1, "warming": 0}]])
        self.serve(on_push=lambda params: far)
        self.assertIn("were pushed", self.complaint("stream", "-o", self.path("scores.npy"), self.path("tone.wav")))
        self.assertLess(os.path.getsize(self.path("scores.npy")), 10000)

    def test_a_connection_that_ends_is_said_once_however_many_files_there_are(self):
        self.serve(on_push=lambda params: None)
        self.assertIn("ended the connection", self.complaint("stream", *[self.path("tone.wav")] * 4))

    def test_a_list_of_streams_that_never_ends(self):
        self.serve(streams={"streams": [{"stream": 1}], "more": True})
        self.run_attnctl("streams")

    def test_control_characters_are_not_sent_to_the_terminal(self):
        self.serve(streams={"streams": [{"stream": 1, "name": "\x1b]0;owned\x07\n\u009b31m", "\x1bkey": 1}]})
        shown = self.on_terminal("streams")
        self.assertIn("?]0;owned? ??31m", shown)
        self.assertEqual([c for c in shown if c not in "\r\n" and not c.isprintable()], [])

    def test_control_characters_of_an_error_are_not_sent_to_the_terminal(self):
        def refuse(params):
            return harness.pack([2, "error", {"code": 12, "name": "bad_frame", "message": "\x1b[2Jgone", "stream": 1,
                                            "frame": params[1]}])

        self.serve(on_push=refuse)
        _, errors = self.run_attnctl("stream", self.path("tone.wav"), status=1)
        self.assertIn("?[2Jgone", errors)
        self.assertNotIn("\x1b", errors)

    def on_both(self, *arguments, status):
        """What a terminal is sent on standard output and standard error together."""
        ours, theirs = pty.openpty()
        self.environment.update(TERM="xterm", COLUMNS="200", LC_ALL="C.UTF-8")
        process = self.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:     # the terminal's end of file
            pass
        os.close(ours)
        self.assertEqual(process.wait(harness.PATIENCE_S), status, shown)
        return shown.decode()   # which takes no bytes that are no UTF-8

    def check_harmless(self, *arguments, status=0, shows="owned"):
        shown = self.on_both(*arguments, status=status)
        rest = re.sub(OWN, "", shown)
        self.assertEqual([c for c in rest if c not in "\r\n" and not c.isprintable()], [], shown)
        self.assertIn(shows, shown)

    def serve_acting(self, **answers):
        self.serve(hello={"server": ACTING, "version": ACTING}, **answers)

    def test_no_answer_acts_on_the_terminal(self):
        row = {"stream": 1, "name": ACTING, "model": ACTING, ACTING: 1, "deep": {ACTING: ACTING}, "list": [ACTING, ACTING]}
        stats = {"version": ACTING, "models": [{"model": ACTING, "shards": [{"shard": 0, "streams": 1}]}],
                 "shards": [{"shard": 0, ACTING: ACTING}], "errors": {ACTING: 3}, ACTING: ACTING}
        answers = {"streams": {"streams": [row]}, "models": {"models": [{"name": ACTING, "labels": [ACTING]}]}, "info": row,
                   "stats": stats, "ping": {}}
        for command in (["ping"], ["models"], ["streams"], ["info", "1"], ["stats"], ["metrics"], ["top", "-c", "1", "-i", "0.05"]):
            for options in ([], ["--json"]) if command != ["metrics"] else ([],):
                self.serve_acting(**answers)
                self.check_harmless(*command, *options)

    def test_no_refusal_acts_on_the_terminal(self):
        refusal = attnctl_case.Refusal(code=6, name=ACTING, message=ACTING)
        every = {method: refusal for method in ("ping", "models", "streams", "info", "stats", "reset", "close", "kill", "open")}
        for command in (["ping"], ["models"], ["streams"], ["info", "1"], ["stats"], ["metrics"], ["top"], ["reset", "1"],
                        ["close", "1"], ["kill", "1"], ["stream", "-m", "x", self.path("tone.wav")],
                        ["features", "-m", "x", self.path("tone.wav"), self.path("out.npy")],
                        ["bench", "--window", "4", "--heads", "1", "--head-dim", "2"]):
            for _ in range(2 if command[0] == "bench" else 1):      # it has a connection of its own
                self.serve_acting(**every)
            self.check_harmless(*command, status=1)
        self.listener.close()
        os.unlink(self.environment["ATTND_SOCKET"])
        self.listen()
        self.serve(hello=refusal)
        self.check_harmless("ping", status=3)

    def test_no_label_acts_on_the_terminal(self):
        def answer(params):
            return harness.pack([2, "output", [1, params[1], struct.pack("<2f", 0.25, 0.75),
                                               {"position": params[1], "lag_us": 1, "warming": 0}]])

        for options in ([], ["--json"]):
            self.serve(on_push=answer, open={**attnctl_case.OPENED, "labels": [ACTING, ACTING + "2"]})
            self.check_harmless("stream", *options, self.path("tone.wav"))

    def test_no_file_name_acts_on_the_terminal(self):
        def answer(params):
            return harness.pack([2, "output", [1, params[1], struct.pack("<2f", 0.25, 0.75),
                                               {"position": params[1], "lag_us": 1, "warming": 0}]])

        name = os.fsencode(self.path("")) + ACTING.replace("/", "").encode() + b"\xff\xfe.wav"
        os.rename(self.path("tone.wav"), name)
        for options in ([], ["--json"]):
            self.serve(on_push=answer)
            self.check_harmless("stream", *options, name, name)
        for command in (["stream", name + b"?"], ["stream", "-o", name, name], ["features", name, name],
                        ["attend", "--window", "4", "-o", "/dev/null", name], ["stream", "-m", name, name]):
            self.serve(on_push=answer)
            self.check_harmless(*command, status=1)
        for command in (["--socket", name, "ping"], ["metrics", "--socket", name]):
            self.check_harmless(*command, status=3)

    def test_no_argument_acts_on_the_terminal(self):
        tone = self.path("tone.wav")
        for command in ([ACTING], ["ping", ACTING], ["--" + ACTING], ["stream", "--" + ACTING, tone], ["stream", "-f", ACTING, tone],
                        ["stream", "-r", ACTING, tone], ["stream", "--late", ACTING, tone], ["stream", "--deadline", ACTING, tone],
                        ["stream", "--promise", ACTING, tone], ["bench", ACTING], ["bench", "--rate", ACTING],
                        ["bench", "--method", ACTING], ["bench", "--seconds", ACTING], ["top", "-s", ACTING], ["top", "-i", ACTING],
                        ["attend", "--window", ACTING, tone]):
            self.check_harmless(*command, status=2, shows="" if command == ["ping", ACTING] else "owned")


if __name__ == "__main__":
    harness.main()
