/* SPDX-License-Identifier: MIT */
/* Model files (attnd-model(7)) with random weights, in memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* An encoder: what the bench has to know of it. */
struct bench_model {
    const char *name;
    const char *path; /* of a file that there is, below the source folder; NULL: random weights */
    uint32_t n_in, model_dim, heads, window, landmarks, ff_dim, n_out, positions, layers;
    int retroactive; /* the first of two layers is */
};

/* Makes the bytes of a file, to be freed with free(). Returns their number, or 0 without memory. */
size_t bench_random_model(const struct bench_model *model, void **bytes);
