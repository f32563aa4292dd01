/* SPDX-License-Identifier: MIT */
/* What is pushed and what came back, so that two runs can be compared bit for bit: frames that depend on seed, stream
 * and number alone, and a checksum of the answers. It knows no connection. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BENCH_RING 64 /* different frames; making each anew would cost more than sending it */

struct bench_frames {
    uint64_t seed;
    size_t frame_bytes;
    uint8_t *ring; /* [BENCH_RING][frame_bytes] float32 of about unit variance */
};

/* Makes the frames. 0, or −1: no memory. */
int bench_frames_init(struct bench_frames *frames, uint64_t seed, uint32_t input_dim);
void bench_frames_done(struct bench_frames *frames);

/* The frame of a number of a stream (counted from 0 by the bench); lives as long as the ring. */
const uint8_t *bench_frames_at(const struct bench_frames *frames, uint64_t stream, uint64_t number);

/* A stream's checksum with one more output; outputs are taken in order. The first one is 0. */
uint64_t bench_frames_sum(uint64_t sum, uint64_t number, const uint8_t *output, size_t n_bytes);

/* A stream's checksum as its part of that of all streams, which is the sum of the parts, modulo 2^64. */
uint64_t bench_frames_part(uint64_t stream, uint64_t sum);
