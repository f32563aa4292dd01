# SPDX-License-Identifier: MIT
"""The folds by which models are chosen and reported: no source is on both sides."""
import fnmatch
import os
import sys
import tempfile
import unittest

SRCDIR = os.environ.get("ATTN_SRCDIR", os.getcwd())
sys.path[:0] = [os.path.join(SRCDIR, "etc/models"), os.path.join(SRCDIR, "tests/system")]
import folds
import harness

ROWS = folds.read_folds()


class TheFolds(unittest.TestCase):
    def refuse(self, lines):
        with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as file:
            file.write("source\tfold\tfiles\n" + "".join(line + "\n" for line in lines))
            file.flush()
            with self.assertRaises(ValueError) as caught:
                folds.read_folds(file.name)
        return str(caught.exception)

    def test_no_source_is_on_both_sides(self):
        fold_of = {}
        for source, fold, _ in ROWS:
            self.assertEqual(fold_of.setdefault(source, fold), fold, source)
        self.assertEqual(set(fold_of.values()), set(folds.FOLDS))

    def test_a_source_with_two_folds_is_refused(self):
        self.assertIn("beats is in the folds 1 and 2", self.refuse(["beats\t1\tBEATS/a*", "beats\t2\tBEATS/b*"]))

    def test_a_fold_that_does_not_exist_is_refused(self):
        self.assertIn("the fold of BEATS/* is 6", self.refuse(["beats\t6\tBEATS/*"]))

    def test_no_two_rows_have_a_place_for_one_recording(self):
        for i, (_, _, one) in enumerate(ROWS):
            for _, _, other in ROWS[i + 1:]:
                self.assertFalse(fnmatch.fnmatchcase(one.replace("*", "x"), other), f"{one} is in {other}")
                self.assertFalse(fnmatch.fnmatchcase(other.replace("*", "x"), one), f"{other} is in {one}")

    def test_esc10_has_the_folds_that_its_file_names_say(self):
        for fold in folds.FOLDS:
            self.assertEqual(folds.place(f"ESC-10/dog_bark/{fold}-100032-A.ogg", ROWS), (f"esc10-{fold}", fold))

    def test_one_speaker_of_two_packages_is_one_source(self):
        wav = folds.place("asterisk-core-sounds-en-wav/usr/share/asterisk/sounds/en_US_f_Allison/hello.wav", ROWS)
        g722 = folds.place("asterisk-core-sounds-en-g722/usr/share/asterisk/sounds/en_US_f_Allison/hello.g722", ROWS)
        self.assertEqual(wav, g722)

    def test_a_recording_from_elsewhere_has_no_place(self):
        with self.assertRaises(ValueError) as caught:
            folds.place("another-package/usr/share/sound.ogg", ROWS)
        self.assertIn("another-package/usr/share/sound.ogg: 0 rows", str(caught.exception))


if __name__ == "__main__":
    harness.main()
