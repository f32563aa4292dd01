# SPDX-License-Identifier: MIT
"""attnctl and a daemon that says what no daemon should: it ends with one message, and shows nothing that acts."""
import os
import struct

import numpy

import attnctl_case
import harness
from attnctl_case import sound, write_wav


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


if __name__ == "__main__":
    harness.main()
