# SPDX-License-Identifier: MIT
"""attnctl attend: the outputs are those of the formulas, with every option."""
import itertools
import os
import struct
import unittest

import numpy

import attnctl_case
import harness
import reference

T, H, D, N, M = 70, 2, 4, 13, 3     # 13 mod 3: segments of unequal length


class Attend(attnctl_case.Case):
    def setUp(self):
        super().setUp()
        self.random = numpy.random.default_rng(3)
        self.frames = self.random.standard_normal((T, 3, H, D)).astype("f4")
        numpy.save(self.path("in.npy"), self.frames)

    def attend(self, *arguments):
        self.run_attnctl("attend", "--window", str(N), *arguments, self.path("in.npy"), "-o", self.path("out.npy"))
        return numpy.load(self.path("out.npy"))

    def check(self, expected, *arguments):
        output = self.attend(*arguments)
        self.assertEqual((output.shape, output.dtype), (expected.shape, numpy.float32))
        numpy.testing.assert_allclose(output, expected, atol=1e-5, err_msg=" ".join(arguments))

    def test_exact(self):
        self.check(reference.exact(self.frames, N), "--method", "exact")

    def test_exact_is_what_is_done_without_landmarks(self):
        self.check(reference.exact(self.frames, N))

    def test_all_outputs_of_the_window(self):
        expected = reference.retroactive(self.frames, N)
        self.assertEqual((expected.shape, numpy.abs(expected[0, :-1]).max()), ((T, N, H, D), 0))
        self.check(expected, "--retroactive")

    def test_nystrom(self):
        self.check(reference.nystrom(self.frames, N, M), "--method", "nystrom", "--landmarks", str(M))

    def test_nystrom_with_every_option(self):
        landmarks = self.random.standard_normal((2, H, M, D)).astype("f4")
        numpy.save(self.path("landmarks.npy"), landmarks)
        given = {"means": (None, ["--landmarks", str(M)]), "fixed": (landmarks, ["--landmark-file", self.path("landmarks.npy")])}
        seen = []
        for policy, refresh, scale in itertools.product(given, ("immediate", "spread"), ("matrix", "heads")):
            fixed, arguments = given[policy]
            arguments = [*arguments, "--refresh", refresh, "--inverse-scale", scale]
            single = reference.nystrom(self.frames, N, M, scale, fixed, refresh)
            self.check(single, *arguments)
            self.check(reference.retroactive(self.frames, N, M, scale, fixed, refresh), *arguments, "--retroactive")
            # Where the landmarks are fixed there is nothing to refresh: the two definitions are one.
            seen += [single] if (policy, refresh) != ("fixed", "spread") else []
        for one, other in itertools.combinations(seen, 2):
            self.assertGreater(numpy.abs(one - other).max(), 1e-4, "an option changes nothing")

    def test_an_output_that_is_not_finite_is_an_error_that_names_its_frame(self):
        """An output has 1.5 times the values that one landmark takes: see session_test.py."""
        frames = numpy.zeros((T, 3, 1, 2), "f4")
        frames[:, 0, 0, 0] = 2.84
        frames[20, 1:, 0, 0] = 10, 3e38
        numpy.save(self.path("in.npy"), frames)
        numpy.save(self.path("landmarks.npy"), numpy.full((2, 1, 2, 2), 1.094, "f4") * numpy.eye(2, dtype="f4"))
        _, errors = self.run_attnctl("attend", "--window", str(N), "--landmark-file", self.path("landmarks.npy"),
                                     self.path("in.npy"), "-o", self.path("out.npy"), status=1)
        self.assertIn("frame 20 has no output: numbers in the window are too large", errors)
        self.assertFalse(os.path.exists(self.path("out.npy")), "an array that is cut off is left")

    def test_pipes(self):
        with open(self.path("in.npy"), "rb") as file:
            out, _ = self.run_attnctl("attend", "--window", str(N), "-", stdin=file.read())
        with open(self.path("out.npy"), "wb") as file:
            file.write(out)
        numpy.testing.assert_allclose(numpy.load(self.path("out.npy")), reference.exact(self.frames, N), atol=1e-5)

    def test_outputs_of_all_the_window_through_pipes(self):
        """More than a pipe holds, and than attnctl keeps."""
        frames = self.random.standard_normal((400, 3, 4, 16)).astype("f4")
        numpy.save(self.path("in.npy"), frames)
        with open(self.path("in.npy"), "rb") as file:
            out, _ = self.run_attnctl("attend", "--window", "120", "--landmarks", "16", "--retroactive", "-", stdin=file.read())
        with open(self.path("out.npy"), "wb") as file:
            file.write(out)
        numpy.testing.assert_allclose(numpy.load(self.path("out.npy"))[::20],
                                      reference.retroactive(frames, 120, 16)[::20], atol=1e-5)

    @unittest.skipIf(harness.SANITIZERS, "sanitizers take memory of their own")
    def test_the_memory_of_attnctl_does_not_grow_with_its_output(self):
        n_frames, frame_bytes = 2000, 120 * 4 * 16 * 4
        numpy.save(self.path("in.npy"), self.random.standard_normal((n_frames, 3, 4, 16)).astype("f4"))
        process = self.start("attend", "--window", "120", "--retroactive", self.path("in.npy"))
        received = len(process.stdout.read((n_frames - 100) * frame_bytes))
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            largest = int(next(line for line in file if line.startswith("VmHWM")).split()[1]) << 10
        received += len(process.stdout.read())
        self.assertEqual(process.wait(harness.PATIENCE_S), 0, process.stderr.read())
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(received // frame_bytes, n_frames)
        self.assertLess(largest, received // 3)

    def refused(self, words, *arguments, status=1):
        _, errors = self.run_attnctl("attend", *arguments, "-o", self.path("out.npy"), status=status)
        self.assertIn(words, errors)

    def test_an_array_of_another_shape_is_refused(self):
        numpy.save(self.path("flat.npy"), numpy.zeros((5, 24), "f4"))
        self.refused("[T, 3, H, d]", "--window", "4", self.path("flat.npy"))

    def test_an_array_of_another_type_is_refused(self):
        numpy.save(self.path("double.npy"), numpy.zeros((5, 3, 2, 4)))
        self.refused("float32", "--window", "4", self.path("double.npy"))

    def test_landmarks_of_another_shape_are_refused(self):
        numpy.save(self.path("landmarks.npy"), numpy.zeros((2, H, M, D + 1), "f4"))
        self.refused("[2, 2, M, 4]", "--window", "4", "--landmark-file", self.path("landmarks.npy"), self.path("in.npy"))

    def test_landmarks_as_many_as_the_file_does_not_hold_are_refused(self):
        numpy.save(self.path("landmarks.npy"), numpy.zeros((2, H, M, D), "f4"))
        self.refused("holds 3 landmarks, not the 4", "--window", "4", "--landmarks", "4", "--landmark-file",
                     self.path("landmarks.npy"), self.path("in.npy"))

    def test_options_that_there_are_not_are_refused_by_the_words_that_there_are(self):
        for option, wrong, words in (("method", "magic", '"exact" or "nystrom"'), ("refresh", "lazy", '"immediate" or "spread"'),
                                     ("inverse-scale", "rows", '"matrix" or "heads"')):
            self.refused(f'"{wrong}", but should be {words}', "--window", "4", f"--{option}", wrong, self.path("in.npy"))

    def test_options_that_do_not_go_together_are_refused_by_name(self):
        window = ("--window", "4")
        self.refused("landmarks is 0", *window, "--method", "nystrom", self.path("in.npy"))
        self.refused("landmarks is 2", *window, "--method", "exact", "--landmarks", "2", self.path("in.npy"))
        self.refused("refresh is spread", *window, "--refresh", "spread", self.path("in.npy"))

    def test_outputs_too_large_for_a_message_are_refused_with_their_size(self):
        numpy.save(self.path("wide.npy"), numpy.zeros((2, 3, 8, 64), "f4"))
        _, errors = self.run_attnctl("attend", "--window", "4096", "--retroactive", self.path("wide.npy"), "-o", self.path("out.npy"),
                                     status=1)
        for words in (f"{4096 * 8 * 64} floats", "a row for each frame", "smaller window", "limit_exceeded"):
            self.assertIn(words, errors)
        self.assertFalse(os.path.exists(self.path("out.npy")))

    def test_shapes_that_no_memory_holds_are_refused(self):
        """What a header claims is not allocated for."""
        with open(self.path("claims.npy"), "wb") as file:
            header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 4294967295, 4294967295), }\n"
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        self.refused("claims.npy", "--window", "4", "--retroactive", self.path("claims.npy"))

    def test_a_frame_that_is_no_number_is_named(self):
        self.frames[33, 1, 0, 2] = numpy.inf
        numpy.save(self.path("in.npy"), self.frames)
        self.refused("frame 33", "--window", "4", self.path("in.npy"))

    def test_the_window_has_to_be_given(self):
        self.refused("--window", self.path("in.npy"), status=2)


if __name__ == "__main__":
    harness.main()
