/* SPDX-License-Identifier: MIT */
/* Frames for tests that any position can be asked for again: streams of millions of frames need no memory. It knows
 * nothing of attention. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Blocks of noise, and between them blocks with single keys that are 30 times as large, constant blocks, blocks of
 * zeros, and such where each frame comes five times. */
struct generator {
    uint64_t seed;
    size_t heads, head_dim; /* H, d */
    double sigma;           /* standard deviation of q·k/√d; that of v is 1 */
    uint64_t block;         /* frames in a block */
};

/* frames[n][3][H][d] of the positions t … t + n − 1 */
void generator_fill(const struct generator *generator, uint64_t t, size_t n, float *frames);

/* Whether the positions first … end − 1 hold nothing but noise. */
bool generator_is_noise(const struct generator *generator, uint64_t first, uint64_t end);
