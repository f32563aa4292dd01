/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same in every run. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* x[n]: normally distributed, mean 0, with this deviation. */
void bench_random(size_t n, float *x, float deviation, uint64_t seed);

/* The frames that streams are fed with, again and again: an odd number of them, so that no window's length is a
 * multiple of it, and few enough to leave the caches to the state, as a frame that has just come in would. */
struct bench_frames {
    size_t n_floats, count; /* of a frame; of frames */
    float *values;          /* [count][n_floats] */
};

/* Returns 0, or −1 without memory; done takes both. */
int bench_frames_init(struct bench_frames *frames, size_t n_floats);
void bench_frames_done(struct bench_frames *frames);

/* The frame with this number. */
const float *bench_frames_at(const struct bench_frames *frames, size_t i);
