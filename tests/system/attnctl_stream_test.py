# SPDX-License-Identifier: MIT
"""attnctl stream and features: what comes out of files, pipes and rubbish."""
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import time
import unittest

import numpy

import attnctl_case
import harness
from attnctl_case import sound, write_model, write_wav


class Stream(attnctl_case.Case):
    def setUp(self):
        super().setUp()
        self.samples = sound(1.0)
        self.wav = self.path("tone.wav")
        write_wav(self.wav, self.samples)

    def scores(self, *arguments, stdin=b""):
        return [line["scores"] for line in self.lines("stream", *arguments, stdin=stdin)]

    def test_answers_every_frame_of_a_recording(self):
        lines = self.lines("stream", self.wav)
        self.assertEqual([line["frame"] for line in lines], list(range(attnctl_case.n_frames(len(self.samples)))))
        for line in lines:
            self.assertEqual(list(line["scores"]), attnctl_case.LABELS)
            self.assertAlmostEqual(sum(line["scores"].values()), 1, places=4)
            self.assertAlmostEqual(line["time_s"], (160 * (2 * line["frame"] + 3) + 400) / 16000, places=6)
            self.assertEqual(line.get("warming", False), line["frame"] < attnctl_case.WINDOW - 1)
        self.assertNotEqual(lines[0]["scores"], lines[-1]["scores"])
        self.assert_nothing_left()

    def test_gives_the_same_scores_from_a_file_a_pipe_raw_samples_and_features(self):
        expected = self.scores(self.wav)
        with open(self.wav, "rb") as file:
            self.assertEqual(self.scores("-", stdin=file.read()), expected)
        raw = self.samples.tobytes()
        self.assertEqual(self.scores("-f", "s16le", "-r", "16000", "-", stdin=raw), expected)
        floats = (self.samples / 32768).astype("<f4").tobytes()
        self.assertEqual(self.scores("-f", "f32le", "-r", "16000", "-", stdin=floats), expected)
        stereo = numpy.repeat(self.samples, 2).tobytes()
        self.assertEqual(self.scores("-f", "s16le", "-r", "16000", "-c", "2", "-", stdin=stereo), expected)
        self.run_attnctl("features", self.wav, self.path("features.npy"))
        self.assertEqual(self.scores(self.path("features.npy")), expected)
        with open(self.path("features.npy"), "rb") as file:
            self.assertEqual(self.scores("-f", "npy", "-", stdin=file.read()), expected)

    def test_resamples_other_rates(self):
        write_wav(self.path("fast.wav"), sound(1.0, rate=44100), rate=44100)
        lines = self.lines("stream", self.path("fast.wav"))
        self.assertAlmostEqual(len(lines), attnctl_case.n_frames(16000), delta=1)

    def test_reads_a_wav_on_a_pipe_to_its_end_whatever_its_header_claims(self):
        with open(self.wav, "rb") as file:
            data = bytearray(file.read())
        data[4:8] = struct.pack("<I", 0xFFFFFFFF)
        data[40:44] = struct.pack("<I", 0xFFFFFFFF)
        self.assertEqual(self.scores("-", stdin=bytes(data)), self.scores(self.wav))

    def test_gives_each_of_several_files_a_stream_of_its_own(self):
        write_wav(self.path("other.wav"), sound(0.5, hertz=3000.0))
        lines = self.lines("stream", self.path("other.wav"), self.wav)
        both = {name: [line["scores"] for line in lines if line["file"] == name] for name in (self.path("other.wav"), self.wav)}
        self.assertEqual(both[self.wav], self.scores(self.wav))
        self.assertEqual(both[self.path("other.wav")], self.scores(self.path("other.wav")))

    def test_takes_a_model_file_by_its_path(self):
        os.rename(self.path("models/tiny.safetensors"), self.path("a:b.safetensors"))
        by_file = self.lines("stream", "-m", self.path("a:b.safetensors"), self.path("tone.wav"))
        self.assertEqual(len(by_file), attnctl_case.n_frames(len(self.samples)))

    def test_writes_the_scores_as_an_array(self):
        out, _ = self.run_attnctl("stream", "-o", self.path("scores.npy"), self.wav)
        self.assertEqual(out, b"")
        array = numpy.load(self.path("scores.npy"))
        lines = self.lines("stream", "--json", "-o", self.path("scores.npy"), self.wav)
        self.assertEqual(array.shape, (len(lines), len(attnctl_case.LABELS)))
        self.assertTrue(numpy.array_equal(array, numpy.load(self.path("scores.npy"))))
        numpy.testing.assert_allclose(array, [list(line["scores"].values()) for line in lines], rtol=1e-5)

    def test_answers_a_frame_before_the_next_samples_come(self):
        process = self.start("stream", "-f", "s16le", "-r", "16000", "-", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        need = 160 * (attnctl_case.FRONTEND["hops"] - 1) + 400
        process.stdin.write(self.samples[:need].tobytes())
        process.stdin.flush()
        self.assertEqual(json.loads(process.stdout.readline())["frame"], 0)
        process.stdin.write(self.samples[need:need + 320].tobytes())
        process.stdin.flush()
        self.assertEqual(json.loads(process.stdout.readline())["frame"], 1)
        rest, _ = process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual((rest, process.returncode), (b"", 0))

    def test_shows_a_timeline_beside_the_data_where_it_is_asked_for(self):
        out, errors = self.run_attnctl("stream", "--timeline", self.wav)
        best = max(json.loads(out.splitlines()[-1])["scores"].items(), key=lambda item: item[1])[0]
        self.assertRegex(errors.splitlines()[-1], rf"s  {best} ")

    def test_takes_each_frame_when_its_time_has_come_with_realtime(self):
        self.assertEqual(self.scores("--realtime", self.wav), self.scores(self.wav))

    def test_answers_what_was_sent_when_it_is_interrupted(self):
        process = self.start("stream", "-f", "s16le", "-r", "16000", "--timeline", "-", stdin=subprocess.PIPE)
        process.stdin.write(self.samples.tobytes())
        process.stdin.flush()
        n_frames = attnctl_case.n_frames(len(self.samples))
        lines = [json.loads(process.stdout.readline()) for _ in range(n_frames)]
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=harness.PATIENCE_S)
        self.assertEqual(process.returncode, -signal.SIGINT, errors)
        self.assertEqual((rest, lines[-1]["frame"]), (b"", n_frames - 1))
        self.assertIn(b"0.0", errors.splitlines()[-1])
        self.assert_nothing_left()

    def open_for_writing(self, fifo):
        """Waits until the other end is open for reading."""
        deadline = time.monotonic() + harness.PATIENCE_S
        while time.monotonic() < deadline:
            try:
                return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                time.sleep(0.01)
        raise AssertionError("nobody opened the pipe")

    def test_an_interruption_ends_the_wait_for_the_rest_of_a_header_or_a_row(self):
        numpy.save(self.path("features.npy"), numpy.zeros((2, attnctl_case.INPUT_DIM), "f4"))
        with open(self.wav, "rb") as file:
            wav = file.read(20)
        with open(self.path("features.npy"), "rb") as file:
            row = file.read(200)
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        for sent, command in ((b"", ["stream"]), (wav, ["stream"]), (wav, ["features", "-d", self.folder]), (row, ["stream", "-f", "npy"])):
            process = self.start(*command, fifo)
            writer = self.open_for_writing(fifo)
            os.write(writer, sent)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=harness.PATIENCE_S)
            os.close(writer)
            self.assertEqual((process.returncode, out), (-signal.SIGINT, b""), errors)
            self.assertEqual([line for line in errors.decode().splitlines() if "private daemon" not in line], [])

    def test_writes_over_neither_its_input_nor_a_recording(self):
        shutil.copy(self.wav, self.path("other.wav"))
        self.run_attnctl("features", self.wav, self.path("features.npy"))
        os.symlink(self.path("features.npy"), self.path("link.npy"))
        for words, command, out in (
                ("no .npy file", ["features", self.wav], [self.path("other.wav")]),
                ("no .npy file", ["stream", self.wav, "-o"], [self.path("other.wav")]),
                ("is the input", ["stream", self.path("features.npy"), "-o"], [self.path("link.npy")])):
            with open(out[0], "rb") as file:
                before = file.read()
            _, errors = self.run_attnctl(*command, *out, status=1)
            self.assertIn(words, errors)
            with open(out[0], "rb") as file:
                self.assertEqual(file.read(), before)

    def test_ends_quietly_when_nobody_reads_its_output(self):
        write_wav(self.path("long.wav"), sound(60.0))
        process = self.start("stream", self.path("long.wav"))
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read().decode()
        process.stderr.close()
        process.wait(harness.PATIENCE_S)
        self.assertEqual([line for line in errors.splitlines() if "private daemon" not in line], [])
        self.assertNotEqual(process.returncode, 0)

    def test_says_when_its_output_cannot_be_written(self):
        for command, words in (('exec "$@" >&-', "Bad file descriptor"), ('exec "$@" >/dev/full', "No space left")):
            done = subprocess.run(["sh", "-c", command, "sh", harness.ATTNCTL, "stream", self.wav], env=self.environment,
                                  stderr=subprocess.PIPE, timeout=harness.PATIENCE_S, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stderr.decode())


class RefusedStream(attnctl_case.Case):
    """Each mistake has one message that names the cause, and a status that is not 0."""

    def setUp(self):
        super().setUp()
        write_wav(self.path("tone.wav"), sound(1.0))

    def check(self, words, *arguments, stdin=b"", status=1):
        out, errors = self.run_attnctl(*arguments, stdin=stdin, status=status)
        self.assertEqual(len([line for line in errors.splitlines() if words in line]), 1, errors)
        return out

    def test_a_wav_that_is_cut_off_is_heard_to_where_it_ends(self):
        with open(self.path("tone.wav"), "rb") as file:
            data = file.read()
        with open(self.path("cut.wav"), "wb") as file:
            file.write(data[:len(data) // 2])
        out = self.check("cut off", "stream", self.path("cut.wav"))
        self.assertEqual(len(out.splitlines()), attnctl_case.n_frames((len(data) // 2 - 44) // 2))

    def test_a_text_file_is_no_audio(self):
        with open(self.path("notes.txt"), "w", encoding="utf-8") as file:
            file.write("not a recording\n" * 1000)
        self.check("notes.txt", "stream", self.path("notes.txt"))

    def test_features_that_are_not_said_to_be_features(self):
        numpy.save(self.path("features.npy"), numpy.zeros((4, attnctl_case.INPUT_DIM), "f4"))
        with open(self.path("features.npy"), "rb") as file:
            data = file.read()
        self.check("give -f npy", "stream", "-", stdin=data)
        self.check("give -f npy", "stream", "-f", "s16le", "-r", "16000", "-", stdin=data)

    def test_a_wav_given_as_raw_samples_would_be_noise(self):
        with open(self.path("tone.wav"), "rb") as file:
            self.check("leave out -f", "stream", "-f", "s16le", "-r", "16000", "-", stdin=file.read())

    def test_a_rate_that_contradicts_the_file(self):
        self.check("16000 Hz", "stream", "-r", "8000", self.path("tone.wav"))

    def test_raw_samples_without_a_rate(self):
        self.check("-r 16000", "stream", "-f", "s16le", "-", status=2)

    def test_an_unknown_format(self):
        self.check("s16le, s24le", "stream", "-f", "u8", "-", status=2)

    def test_a_missing_file(self):
        self.check("No such file", "stream", self.path("missing.wav"))

    def test_an_unknown_model(self):
        self.check("the daemon has: tiny", "stream", "-m", "huge", self.path("tone.wav"))

    def test_a_recording_that_is_shorter_than_a_frame(self):
        write_wav(self.path("short.wav"), sound(0.04))
        self.check("short.wav is too short: it has 0.040 s of audio", "stream", self.path("short.wav"))
        self.check("standard input is too short", "stream", "-f", "s16le", "-r", "16000", "-", stdin=b"1234")

    def test_a_model_file_that_is_none(self):
        self.check("tone.wav", "stream", "-m", self.path("tone.wav"), self.path("tone.wav"))

    def test_no_model_where_there_are_several(self):
        write_model(self.path("models/second.safetensors"))
        self.check("second, tiny", "stream", self.path("tone.wav"), status=2)

    def test_audio_for_a_model_without_a_front_end(self):
        write_model(self.path("plain.safetensors"), frontend=None, input_dim=5)
        self.check("no front-end", "stream", "-m", self.path("plain.safetensors"), self.path("tone.wav"))

    def test_features_of_another_width(self):
        numpy.save(self.path("narrow.npy"), numpy.zeros((4, 3), "f4"))
        self.check("[T, 256]", "stream", self.path("narrow.npy"))

    def test_a_frame_that_is_no_number_has_no_answer_and_the_others_have(self):
        write_model(self.path("plain.safetensors"), frontend=None, input_dim=5)
        features = numpy.random.default_rng(1).standard_normal((20, 5)).astype("f4")
        numpy.save(self.path("features.npy"), numpy.delete(features, 7, axis=0))
        expected = self.lines("stream", "-m", self.path("plain.safetensors"), self.path("features.npy"))
        features[7, 2] = numpy.nan
        numpy.save(self.path("features.npy"), features)
        out = self.check("frame 7", "stream", "-m", self.path("plain.safetensors"), self.path("features.npy"))
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(lines.pop(7), {"frame": 7, "error": "bad_frame"})
        self.assertEqual([line["scores"] for line in lines], [line["scores"] for line in expected])
        self.assertEqual([line["frame"] for line in lines], [frame for frame in range(20) if frame != 7])

    def test_frames_whose_scores_are_no_numbers_have_no_answer_and_the_others_have(self):
        """While a frame of finite numbers that overflow is in the window."""
        write_model(self.path("plain.safetensors"), frontend=None, input_dim=5)
        features = numpy.random.default_rng(1).standard_normal((30, 5)).astype("f4")
        numpy.save(self.path("features.npy"), features)
        arguments = ("stream", "-r", "10", "-m", self.path("plain.safetensors"), self.path("features.npy"))
        expected = self.lines(*arguments)
        features[7] = 3e38
        numpy.save(self.path("features.npy"), features)
        out, errors = self.run_attnctl(*arguments, "--json", "--timeline", "-o", self.path("scores.npy"), status=1)
        lost = range(7, 7 + attnctl_case.WINDOW)
        for line, usual in zip([json.loads(line) for line in out.splitlines()], expected, strict=True):
            if line["frame"] in lost:
                self.assertEqual(line, {"frame": usual["frame"], "time_s": usual["time_s"], "error": "not_finite"})
            else:
                self.assertEqual((line["frame"], line["scores"]), (usual["frame"], usual["scores"]))
        missing = numpy.isnan(numpy.load(self.path("scores.npy"))).all(axis=1)
        self.assertEqual(list(numpy.flatnonzero(missing)), list(lost))
        self.assertIn("numbers in the window are too large, so the output is not finite (not_finite)", errors)
        named = [int(number) for first, last in re.findall(r"frames? (\d+)(?: to (\d+))? ha", errors)
                 for number in range(int(first), int(last or first) + 1)]
        self.assertEqual(named, list(lost))
        self.assertNotIn("nan", errors.replace("not_finite", ""))

    def test_several_files_of_which_one_is_bad(self):
        out = self.check("No such file", "stream", self.path("missing.wav"), self.path("tone.wav"))
        self.assertEqual(len(out.splitlines()), attnctl_case.n_frames(16000))

    def test_a_command_that_there_is_not(self):
        self.check("do you mean 'stream'", "steam", self.path("tone.wav"), status=2)

    def test_nothing_to_stream(self):
        self.check("Name a file", "stream", status=2)


class Features(attnctl_case.Case):
    def test_of_a_recording_that_is_shorter_than_a_frame_are_none(self):
        write_wav(self.path("short.wav"), sound(0.04))
        self.run_attnctl("features", self.path("short.wav"), self.path("short.npy"))
        self.assertEqual(numpy.load(self.path("short.npy")).shape, (0, attnctl_case.INPUT_DIM))

    def test_are_those_that_stream_sends(self):
        write_wav(self.path("tone.wav"), sound(1.0))
        self.run_attnctl("features", "-m", "tiny", self.path("tone.wav"), self.path("tone.npy"))
        features = numpy.load(self.path("tone.npy"))
        self.assertEqual((features.shape, features.dtype), ((attnctl_case.n_frames(16000), attnctl_case.INPUT_DIM), numpy.float32))
        self.assertTrue(numpy.array_equal(features[1, :128], features[0, 128:]))

    def test_of_many_files_go_to_a_folder(self):
        names = ["a.wav", "b.wav", "c.wav"]
        for i, name in enumerate(names):
            write_wav(self.path(name), sound(0.2 + 0.1 * i))
        os.mkdir(self.path("out"))
        self.run_attnctl("features", "-d", self.path("out"), *(self.path(name) for name in names))
        shapes = [numpy.load(self.path(f"out/{name[0]}.npy")).shape[0] for name in names]
        self.assertEqual(shapes, [attnctl_case.n_frames(int((0.2 + 0.1 * i) * 16000)) for i in range(3)])

    def test_of_two_inputs_of_one_name_are_not_written_over_each_other(self):
        for folder in ("a", "b"):
            os.mkdir(self.path(folder))
            write_wav(self.path(f"{folder}/tone.wav"), sound(0.2))
        _, errors = self.run_attnctl("features", "-d", self.folder, self.path("a/tone.wav"), self.path("b/tone.wav"), status=2)
        self.assertIn("tone.npy would be written for two inputs", errors)
        self.assertFalse(os.path.exists(self.path("tone.npy")))


if __name__ == "__main__":
    harness.main()
