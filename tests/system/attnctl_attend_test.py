# SPDX-License-Identifier: MIT
"""attnctl attend: the outputs are those of the formulas."""
import unittest

import numpy

import attnctl_case
import harness
import reference

T, H, D, N, M = 70, 2, 4, 12, 3


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
        self.assertEqual((output.shape, output.dtype), ((T, H, D), numpy.float32))
        numpy.testing.assert_allclose(output, expected, atol=1e-5)

    def test_exact(self):
        self.check(reference.exact(self.frames, N), "--method", "exact")

    def test_exact_is_what_is_done_without_landmarks(self):
        self.check(reference.exact(self.frames, N))

    def test_nystrom(self):
        self.check(reference.nystrom(self.frames, N, M), "--method", "nystrom", "--landmarks", str(M))

    def test_nystrom_scaled_over_the_heads(self):
        self.check(reference.nystrom(self.frames, N, M, scale="heads"), "--landmarks", str(M), "--inverse-scale", "heads")

    def test_nystrom_with_fixed_landmarks(self):
        landmarks = self.random.standard_normal((2, H, M, D)).astype("f4")
        numpy.save(self.path("landmarks.npy"), landmarks)
        self.check(reference.nystrom(self.frames, N, M, landmarks=landmarks), "--landmark-file", self.path("landmarks.npy"))

    def test_pipes(self):
        with open(self.path("in.npy"), "rb") as file:
            out, _ = self.run_attnctl("attend", "--window", str(N), "-", stdin=file.read())
        with open(self.path("out.npy"), "wb") as file:
            file.write(out)
        numpy.testing.assert_allclose(numpy.load(self.path("out.npy")), reference.exact(self.frames, N), atol=1e-5)

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

    def test_a_method_that_there_is_not_is_refused_by_name(self):
        self.refused("bad_params", "--window", "4", "--method", "magic", self.path("in.npy"))

    def test_a_frame_that_is_no_number_is_named(self):
        self.frames[33, 1, 0, 2] = numpy.inf
        numpy.save(self.path("in.npy"), self.frames)
        self.refused("frame 33", "--window", "4", self.path("in.npy"))

    def test_the_window_has_to_be_given(self):
        self.refused("--window", self.path("in.npy"), status=2)


if __name__ == "__main__":
    harness.main()
