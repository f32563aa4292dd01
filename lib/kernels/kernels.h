/* SPDX-License-Identifier: MIT */
/*
 * The loops over floats that the layers are written in: one table of functions for each instruction set, of which a
 * plan takes one when it is made. Kernels know nothing of windows, landmarks and models.
 *
 * Of all of them: matrices are row-major and dense; nothing overlaps unless it is said; any alignment; any thread; no
 * allocation, no errors. The order of every sum is fixed by the lengths alone (of a matrix product: by the length that
 * is summed over, so that a row's bits do not depend on the other rows). A dimension may be 0 unless it is said.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"

/* Logits stay within ± this, so that sums of a few never overflow; a NaN out of an overflowed product becomes the lower
 * bound. */
#define ATTN_LOGIT_LIMIT 0x1p100f

/* The columns of a panel of packed weights (linear.h), the same for every variant. */
#define ATTN_PANEL 16

/* The offset of an empty aggregate (aggregate.h): below every logit's, yet a difference of two offsets is finite. */
#define ATTN_EMPTY_OFFSET (-0x1p110f)

enum { ATTN_MAX_SOURCES = 3 };

/* What attn_kernels.shares reads and writes: for each of m landmarks j the aggregates of up to three sets of frames,
 * and the logits of R single frames, which together are the window. */
struct attn_reading {
    size_t m, n_rows, n_sources;
    const float *w;                         /* [m]: β g(Γ) */
    const float *offset[ATTN_MAX_SOURCES];  /* [m] each */
    const float *sum[ATTN_MAX_SOURCES];     /* [m] each */
    const float *logits;                    /* [R×m], base 2 */
    float *source_weight[ATTN_MAX_SOURCES]; /* [m] each, out: the factor of each source's vectors */
    float *row_weight;                      /* [R], out: the factor of each frame's value */
    float *work;                            /* [3m] */
};

/* What attn_kernels.read_out adds up: Σ_s a_s[m] · A_s[m×d] + c[R] · V[R×d] + b[m] · B[m×d], where B is extended by a
 * frame first (see attn_kernels.extend) unless `rescale` is NULL. */
struct attn_parts {
    size_t n_rows, n_sources;
    const float *source_weight[ATTN_MAX_SOURCES]; /* a_s */
    const float *source[ATTN_MAX_SOURCES];        /* A_s */
    const float *row_weight, *rows;               /* c, V */
    const float *newest_weight;                   /* b */
    float *newest;                                /* B */
    const float *rescale, *weight, *value;        /* [m], [m], [d] */
};

/* One aggregate of a chain, and the frames by which it is more than the one before it. */
struct attn_link {
    float *offset, *sum, *vector; /* out; vector [d] */
    size_t n_rows;
    float *logits;       /* [R], used up */
    const float *values; /* [R×d] */
};

struct attn_kernels {
    enum attn_variant variant;
    const char *name;

    /* y[n] = a · x[n]; y may be x. */
    void (*scale)(size_t n, float *y, float a, const float *x);
    /* y[n] += x[n] */
    void (*add)(size_t n, float *y, const float *x);
    /* z[n] = a · x[n] + b · y[n]; z may be x or y. */
    void (*blend)(size_t n, float *z, float a, const float *x, float b, const float *y);
    /* to[N×M] = a · from[M×N]ᵀ */
    void (*transpose)(size_t m, size_t n, float *to, float a, const float *from);
    /* Index of the first x[n] that is NaN or infinite, or n. */
    size_t (*first_not_finite)(size_t n, const float *x);

    /* logits[R] = rows[R×d] · x[d], within ± ATTN_LOGIT_LIMIT */
    void (*logits)(size_t n_rows, size_t d, float *logits, const float *rows, const float *x);
    /* x[n] within ± ATTN_LOGIT_LIMIT, NaN to the lower bound, in place */
    void (*clamp)(size_t n, float *x);
    /* logits[m] = x[d] · B[d×m], within ± ATTN_LOGIT_LIMIT */
    void (*logits_by_d)(size_t d, size_t m, float *logits, const float *x, const float *by_d);
    /* y[d] = a · y0[d] + w[R] · rows[R×d]; y0 may be y, and is not read where a is 0. */
    void (*combine)(size_t n_rows, size_t d, float *y, float a, const float *y0, const float *w, const float *rows);
    /* C[M×N] = a · A[M×K] · B[K×N] */
    void (*product)(size_t m, size_t k, size_t n, float *c, float a, const float *left, const float *right);
    /* C[M×N] = a · A[M×N] · (B[N×N] + b · I) */
    void (*product_shifted)(size_t m, size_t n, float *c, float a, const float *left, const float *right, float b);
    /* Y[M×n_out] = X[M×n_in] · Wᵀ + b with W in panels [⌈n_out/16⌉][n_in][16] and b padded to panels. Each output is
     * summed over k = 0, 1, 2, … from its bias on. */
    void (*packed)(size_t m, size_t n_in, size_t n_out, float *y, const float *x, const float *panels,
                   const float *bias);

    /* max over x[n], n > 0 */
    float (*max)(size_t n, const float *x);
    /* weights[n] = 2^(logits[n] − offset), and their sum; no logit is above the offset, and what is below 2^−100 is 0.
     * weights may be logits. */
    float (*weights)(size_t n, float *weights, float offset, const float *logits);
    /* x_r[n] = 2^x_r[n] / Σ 2^x_r[n] for each row of x[R×n], n > 0 */
    void (*softmax2)(size_t n_rows, size_t n, float *x);

    /* One more frame with logits[m] joins each of m aggregates (offset, sum; aggregate.h): offset and sum become the
     * new ones, and what its vector has to become is rescale · vector + weight · value. */
    void (*admit)(size_t m, float *offset, float *sum, float *rescale, float *weight, const float *logits);
    /* A chain of aggregates: each is the one before it, the first of all (offset, sum, vector[d]), and its own frames.
     * The first may be one of them. */
    void (*fold)(size_t n_links, size_t d, const struct attn_link *links, float offset, float sum, const float *vector);
    /* vectors_j[d] = rescale_j · vectors_j[d] + weight_j · v[d] for m rows j */
    void (*extend)(size_t m, size_t d, float *vectors, const float *rescale, const float *weight, const float *v);
    /* y[d] = the sum of all parts of a window, of which the newest takes in a frame on the way. */
    void (*read_out)(size_t m, size_t d, float *y, const struct attn_parts *parts);
    /* The factors with which Σ_j w_j (softmax-weighted mean of the values over the window for landmark j) is a sum over
     * the sources' vectors and the frames' values. No landmark's window is empty where its w is not 0; where w is 0,
     * the factors are 0. */
    void (*shares)(const struct attn_reading *reading);

    /* y[n] = (x − mean x) / √(var x + 1e-5) · weight + bias, var over n; y may be x. Ba et al., arXiv 1607.06450. */
    void (*norm)(size_t n, float *y, const float *x, const float *weight, const float *bias);
    /* x ← x · Φ(x) = x/2 · (1 + erf(x/√2)), the exact GELU. Hendrycks and Gimpel, arXiv 1606.08415. */
    void (*gelu)(size_t n, float *x);
    /* x ← max(x, 0) */
    void (*relu)(size_t n, float *x);
    /* x ← exp(x − max x) / Σ exp(x − max x), n > 0 */
    void (*softmax)(size_t n, float *x);
    /* x ← 1 / (1 + exp(−x)) */
    void (*sigmoid)(size_t n, float *x);
};

/* The table of a variant, or NULL where this build or this machine has not got it; ATTN_VARIANT_BEST is the fastest of
 * those that are here. Asks the processor, reads no environment, keeps nothing. */
const struct attn_kernels *attn_kernels_of(enum attn_variant variant);
