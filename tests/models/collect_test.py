# SPDX-License-Identifier: MIT
"""The collection of recordings: what is heard where, whose it is, on which side it stands; and sound as training sees it."""
import os
import subprocess
import sys
import tempfile
import unittest
import wave

import numpy

SRCDIR = os.environ.get("ATTN_SRCDIR", os.getcwd())
sys.path[:0] = [os.path.join(SRCDIR, "etc/models"), os.path.join(SRCDIR, "tests/system")]
import collect
import folds
import harness
import sound

HEADER = "file\tset\tlabel\tfold\tlicence\tcredit\trepository@commit\tpath\tseconds\tzero_share\trms_dbfs\n"
RNG = numpy.random.default_rng(1)


def noise(seconds, level_db, rate=16000):
    return RNG.standard_normal(int(seconds * rate)) * 10 ** (level_db / 20)


def write_wav(path, x, rate=16000, channels=1):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    samples = numpy.repeat(numpy.clip(numpy.rint(x * 32768), -32768, 32767).astype("<i2"), channels)
    with wave.open(path, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


class Collecting(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.folder = os.path.join(self.place.name, "audio")
        self.out = os.path.join(self.place.name, "out")
        os.makedirs(self.folder)

    def table_of(self, lines):
        with open(os.path.join(self.folder, "sources.tsv"), "w", encoding="utf-8") as file:
            file.write(HEADER + "".join("\t".join(line) + "\n" for line in lines))

    def line(self, file, label="noise", licence="CC0 1.0"):
        return (file, file.split("/")[0], label, "1", licence, "Somebody", "a/b@c", file, "1", "0", "-20")

    def collect(self, *arguments):
        command = [sys.executable, os.path.join(SRCDIR, "etc/models/collect.py"), self.out, *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")

    def rows(self):
        return folds.read_rows(os.path.join(self.out, "recordings.tsv"))

    def test_a_folder_becomes_a_table_with_source_fold_licence_and_author(self):
        write_wav(os.path.join(self.folder, "CDDA/noise/door.wav"), noise(1, -20))
        write_wav(os.path.join(self.folder, "ESC-10/rain/2-1-A.wav"), noise(1, -20))
        self.table_of([self.line("CDDA/noise/door.wav", licence="CC BY 3.0"), self.line("ESC-10/rain/2-1-A.wav", "rain")])
        done = self.collect("--folder", self.folder, "--packages")
        self.assertEqual(done.returncode, 0, done.stderr)
        door, rain = self.rows()
        self.assertEqual([door[key] for key in ("source", "fold", "label", "event", "licence", "bundled", "author")],
                         ["cdda", "3", "noise", "-", "CC BY 3.0", "yes", "Somebody"])
        self.assertEqual([rain[key] for key in ("source", "fold", "label", "event")], ["esc10-2", "2", "noise", "rain"])

    def test_a_file_that_is_no_sound_is_named_and_left_out(self):
        write_wav(os.path.join(self.folder, "CDDA/noise/door.wav"), noise(1, -20))
        with open(os.path.join(self.folder, "CDDA/noise/bad.wav"), "w", encoding="utf-8") as file:
            file.write("no sound")
        self.table_of([self.line("CDDA/noise/bad.wav"), self.line("CDDA/noise/door.wav")])
        done = self.collect("--folder", self.folder, "--packages")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left out: CDDA/noise/bad.wav", done.stderr)
        self.assertEqual([row["name"] for row in self.rows()], ["CDDA/noise/door.wav"])

    def test_a_recording_without_a_fold_is_refused_before_anything_is_written(self):
        write_wav(os.path.join(self.folder, "ELSEWHERE/noise/door.wav"), noise(1, -20))
        self.table_of([self.line("ELSEWHERE/noise/door.wav")])
        done = self.collect("--folder", self.folder, "--packages")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ELSEWHERE/noise/door.wav: 0 rows of folds.tsv", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.out, "recordings.tsv")))

    def test_a_package_is_unpacked_and_its_files_get_the_labels_of_packages_tsv(self):
        root = os.path.join(self.place.name, "package")
        base = os.path.join(root, "usr/share/games/csmash/wav")
        write_wav(os.path.join(base, "seven.wav"), noise(1, -20))
        write_wav(os.path.join(base, "racket.wav"), noise(1, -20, 44100), rate=44100, channels=2)
        os.makedirs(os.path.join(root, "DEBIAN"))
        with open(os.path.join(root, "DEBIAN/control"), "w", encoding="utf-8") as file:
            file.write("Package: csmash-data\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n"
                       "Description: test\n")
        os.makedirs(os.path.join(self.out, "debs"))
        subprocess.run(["dpkg-deb", "-b", root, os.path.join(self.out, "debs/csmash-data_1_all.deb")], check=True,
                       stdout=subprocess.DEVNULL)
        done = self.collect("--packages", "csmash-data")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = {os.path.basename(row["name"]): row for row in self.rows()}
        self.assertEqual({name: row["label"] for name, row in found.items()}, {"seven.wav": "speech", "racket.wav": "noise"})
        self.assertEqual(found["seven.wav"]["bundled"], "no")
        self.assertEqual(found["seven.wav"]["origin"], "csmash-data_1_all")
        self.assertAlmostEqual(float(found["racket.wav"]["seconds"]), 1, delta=0.02)

    def test_a_package_that_the_table_does_not_know_is_refused(self):
        done = self.collect("--packages", "another-package")
        self.assertIn("packages.tsv has no row for the package another-package", done.stderr)

    def test_every_package_of_the_table_has_a_fold(self):
        table = folds.read_folds()
        for row in collect.package_rows():
            folds.place(row["package"] + "/usr/share/sound.ogg", table)

    def test_only_licences_that_allow_it_are_bundled(self):
        for licence in ("CC0 1.0", "CC BY 3.0", "CC-BY-SA-3.0", "MIT", "BSD-3-clause", "Apache 2.0", "Public Domain"):
            self.assertTrue(collect.bundled(licence), licence)
        for licence in ("GPL-2+", "GPL", "CC BY-NC 3.0", "CC-BY-ND-4.0", "Sampling+", "Drascula-License", "LGPL-2.1+"):
            self.assertFalse(collect.bundled(licence), licence)


class Hearing(unittest.TestCase):
    def test_speech_is_labelled_where_it_is_heard(self):
        x = numpy.concatenate((noise(1, -70), noise(1, -20), numpy.zeros(16000), noise(0.5, -25)))
        (a, b), (c, d) = sound.active(x, "speech")
        for found, true in zip((a, b, c, d), (1, 2, 3, 3.5)):
            self.assertAlmostEqual(found, true, delta=0.03)
        self.assertEqual(len(sound.silent(x)), 2)

    def test_short_breaks_belong_to_the_sound(self):
        x = numpy.concatenate((noise(0.5, -20), numpy.zeros(3200), noise(0.5, -20)))
        self.assertEqual(len(sound.active(x, "noise")), 1)

    def test_digital_zero_is_silence_and_nothing_else(self):
        self.assertEqual(sound.active(numpy.zeros(16000), "noise"), [])
        self.assertEqual(sound.silent(numpy.zeros(16000)), [(0.0, 1.0)])

    def test_log_mels_are_those_of_attnctl(self):
        with tempfile.TemporaryDirectory() as folder:
            for rate, channels in ((16000, 1), (44100, 2), (8000, 1)):
                path, out = os.path.join(folder, "x.wav"), os.path.join(folder, "x.npy")
                write_wav(path, noise(2, -20, rate), rate, channels)
                subprocess.run([harness.ATTNCTL, "features", "-m", os.path.join(SRCDIR, "etc/models/sounds.safetensors"),
                                path, out], check=True, stderr=subprocess.DEVNULL)
                theirs, ours = numpy.load(out).reshape(-1, 64), sound.log_mels(sound.read(path))
                n = min(len(theirs), len(ours))
                self.assertGreaterEqual(n, 190)
                self.assertLess(abs(theirs[:n] - ours[:n]).max(), 0.01, f"{rate} Hz")


if __name__ == "__main__":
    harness.main()
