/* SPDX-License-Identifier: MIT */
/* What every step of a layer is given beside its state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
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

/* The kernels of kernels/kernels.h, counted. */
static inline void attn_run_logits(struct attn_run *run, size_t n_rows, size_t d, float *logits, const float *rows,
                                   const float *x)
{
    run->kernels->logits(n_rows, d, logits, rows, x);
    attn_run_count(run, n_rows * d, n_rows * d + d + n_rows);
}

static inline void attn_run_logits_by_d(struct attn_run *run, size_t d, size_t m, float *logits, const float *x,
                                        const float *by_d)
{
    run->kernels->logits_by_d(d, m, logits, x, by_d);
    attn_run_count(run, d * m, d * m + d + m);
}

static inline void attn_run_combine(struct attn_run *run, size_t n_rows, size_t d, float *y, float a, const float *y0,
                                    const float *w, const float *rows)
{
    run->kernels->combine(n_rows, d, y, a, y0, w, rows);
    attn_run_count(run, n_rows * d + (a != 0 ? d : 0), n_rows * d + n_rows + (a != 0 ? 2 : 1) * d);
}

static inline void attn_run_product(struct attn_run *run, size_t m, size_t k, size_t n, float *c, float a,
                                    const float *left, const float *right)
{
    run->kernels->product(m, k, n, c, a, left, right);
    attn_run_count(run, m * k * n, m * k + k * n + m * n);
}

static inline void attn_run_product_shifted(struct attn_run *run, size_t m, size_t n, float *c, float a,
                                            const float *left, const float *right, float b)
{
    run->kernels->product_shifted(m, n, c, a, left, right, b);
    attn_run_count(run, m * n * (n + 1), 2 * m * n + n * n);
}

static inline void attn_run_extend(struct attn_run *run, size_t m, size_t d, float *vectors, const float *rescale,
                                   const float *weight, const float *v)
{
    run->kernels->extend(m, d, vectors, rescale, weight, v);
    attn_run_count(run, 2 * m * d, 2 * m * d + d + 2 * m);
}

static inline void attn_run_read_out(struct attn_run *run, size_t m, size_t d, float *y, const struct attn_parts *parts)
{
    size_t extended = parts->rescale != NULL ? m : 0, n_vectors = (parts->n_sources + 1) * m + parts->n_rows;
    run->kernels->read_out(m, d, y, parts);
    attn_run_count(run, (n_vectors + 2 * extended) * d, (n_vectors + extended + 2) * d + n_vectors + 2 * extended);
}

static inline void attn_run_blend(struct attn_run *run, size_t n, float *z, float a, const float *x, float b,
                                  const float *y)
{
    run->kernels->blend(n, z, a, x, b, y);
    attn_run_count(run, 2 * n, 3 * n);
}

static inline void attn_run_softmax2(struct attn_run *run, size_t n_rows, size_t n, float *x)
{
    run->kernels->softmax2(n_rows, n, x);
    attn_run_count(run, n_rows * n, 2 * n_rows * n);
}
