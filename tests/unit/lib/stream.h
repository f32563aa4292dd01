/* SPDX-License-Identifier: MIT */
/* Raw attention for tests: a stream with its memory, frames from a seed, and the formulas in double. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"

struct stream {
    struct attn_plan *plan;
    struct attn_info info;
    struct attn_state *state;
    void *scratch;
    size_t output_dim; /* floats */
};

struct attn_options exact_options(uint32_t heads, uint32_t head_dim, uint32_t window);
struct attn_options nystrom_options(uint32_t heads, uint32_t head_dim, uint32_t window, uint32_t landmarks);

void stream_open(struct stream *stream, const struct attn_options *options);

/* The same where the plan is there; it is the stream's from here on. */
void stream_start(struct stream *stream);
void stream_close(struct stream *stream);

/* Fails the test where the frame is refused. */
void stream_push(struct stream *stream, const float *frame, float *output);

/* n floats, roughly normal with this standard deviation; the same for the same seed. The caller frees them. */
float *noise(uint32_t seed, size_t n, double deviation);

/* n floats of any sign, from 1e30 on up to the largest that there is, and some below 2^-126; the caller frees them. */
float *giants(uint32_t seed, size_t n);

/* The output [H][d] of the newest of n_frames frames [n_frames][3][H][d] by maths sections 2 to 4, in double. */
void naive(const struct attn_options *options, const float *frames, size_t n_frames, double *output);

/* The largest |a[i] − b[i]|; infinity where one of them is not finite. */
double distance(const float *a, const double *b, size_t n);
