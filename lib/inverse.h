/* SPDX-License-Identifier: MIT */
/* g(Γ): the six-step iteration of [Ny] that takes the place of an inverse (maths section 4). It is a part of the model:
 * nothing better is to be put in its place. It can be done in pieces, which give the bits of the whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "run.h"

/* ‖Γ‖₁ and ‖Γ‖_∞: the largest column sum and the largest row sum. */
struct attn_norms {
    float column, row;
};

/* The norms of Γ [m×m], which is not negative; `work` holds 2m floats. */
struct attn_norms attn_inverse_norms(struct attn_run *run, const float *gamma, size_t m, float *work);

/* The larger of each. */
struct attn_norms attn_inverse_larger(struct attn_norms a, struct attn_norms b);

/* Z, which becomes g(Γ), and the products of a step; [m][m] each. */
struct attn_inverse_matrices {
    float *z, *e, *s, *p;
};

/* Z, and three products side by side in `work`. */
static inline struct attn_inverse_matrices attn_inverse_matrices(float *z, float *work, size_t m)
{
    return (struct attn_inverse_matrices){.z = z, .e = work, .s = work + m * m, .p = work + 2 * m * m};
}

/* Floats of work memory for one matrix: Z and the products. */
size_t attn_inverse_work(size_t m);

/* How many multiply-adds g takes: 24m³. */
double attn_inverse_multiply_adds(size_t m);

/* How many rows of products g takes, of m² multiply-adds each: what attn_inverse_rows counts in. */
size_t attn_inverse_n_rows(size_t m);

/* Z[m×m] = Γ[m×m]ᵀ / (‖Γ‖₁ · ‖Γ‖_∞) */
void attn_inverse_start(struct attn_run *run, const float *gamma, size_t m, struct attn_norms norms, float *z);

/* Does the rows first … end − 1, which follow those that were done before. After the last, Z is g(Γ). Rows of Γ and
 * columns that are all zeros stay so, and do not change the others' bits. */
void attn_inverse_rows(struct attn_run *run, const float *gamma, size_t m, struct attn_inverse_matrices of,
                       size_t first, size_t end);

/* gamma[m×m] = g(gamma[m×m]). `work`: attn_inverse_work(m) floats. */
void attn_inverse_invert(struct attn_run *run, float *gamma, size_t m, struct attn_norms norms, float *work);

/* The same for all heads of one stream, from logits in base 2: head h is gamma [m×m] at h · stride, and becomes g of
 * its row softmax. `shared`: each norm is the largest over the heads. */
void attn_inverse_heads(struct attn_run *run, float *gamma, size_t heads, size_t stride, size_t m, bool shared,
                        float *work);
