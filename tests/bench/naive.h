/* SPDX-License-Identifier: MIT */
/*
 * The published update of continual Nyström attention (arXiv 2412.03214) in calls of cblas: adds exp(new), subtracts
 * exp(old), takes out no maximum. It is what the library is compared with in speed; it is not accurate (maths section
 * 7). It knows nothing of the library.
 */
#pragma once

#include <stddef.h>

struct bench_shape {
    size_t n, m, d, heads;
};

struct bench_naive;

/* Streams whose landmarks are the means of segments or, where both are given, fixed: [H][m][d] each. NULL without
 * memory, or without a BLAS. */
struct bench_naive *bench_naive_new(const struct bench_shape *shape, size_t n_streams, const float *q_landmarks,
                                    const float *k_landmarks);
void bench_naive_free(struct bench_naive *naive);

/* One frame [3][H][d] of a stream → output [H][d], which is zeros while the first window fills up. */
void bench_naive_push(struct bench_naive *naive, size_t stream, const float *frame, float *output);
