/* SPDX-License-Identifier: MIT */
/* What every step of a layer is given beside its state. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "attn/attn.h"
#include "kernels/kernels.h"

/* Where a frame stands. */
struct attn_when {
    uint64_t t;     /* its position */
    uint64_t first; /* the position of the stream's first frame: 0, unless it is a replay */
};

/* |W_t| for a window of n. */
static inline size_t attn_when_rows(struct attn_when when, size_t n)
{
    return when.t - when.first < n ? (size_t)(when.t - when.first) + 1 : n;
}

/* The kernels in use, and what they have done so far in this step. */
struct attn_run {
    const struct attn_kernels *kernels;
    struct attn_work work;
};

/* Notes work: n_floats counts each float that was read or written once. */
static inline void attn_run_count(struct attn_run *run, uint64_t multiply_adds, uint64_t n_floats)
{
    run->work.multiply_adds += multiply_adds;
    run->work.bytes += n_floats * sizeof(float);
}
