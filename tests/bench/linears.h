/* SPDX-License-Identifier: MIT */
/* The linear layers of an encoder without what is between them. */
#pragma once

#include <stddef.h>

#include "kernels/kernels.h"
#include "linear.h"
#include "random_model.h"

enum { BENCH_MAX_LINEARS = 16 };

struct bench_linears {
    const struct attn_kernels *kernels;
    size_t n, batch;
    struct attn_linear linear[BENCH_MAX_LINEARS];
    size_t n_rows[BENCH_MAX_LINEARS]; /* of one frame */
    float *x, *y;
};

/* Makes those of a model for batches of this many frames. Returns 0, or −1 without memory; done takes both. */
int bench_linears_init(struct bench_linears *linears, const struct bench_model *model, size_t batch);
void bench_linears_done(struct bench_linears *linears);

/* Each of them once: with one row of each frame of the batch in one product, or, where a frame has many rows, with a
 * product for each frame. `self` is struct bench_linears. */
void bench_linears_apply(void *self);
