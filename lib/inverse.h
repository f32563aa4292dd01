/* SPDX-License-Identifier: MIT */
/* g(Γ): the six-step iteration of [Ny] that takes the place of an inverse (maths section 4). It is a part of the model:
 * nothing better is to be put in its place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* ‖Γ‖₁ and ‖Γ‖_∞: the largest column sum and the largest row sum. */
struct attn_norms {
    float column, row;
};

/* The norms of Γ [m×m], which is not negative; `work` holds m floats. */
struct attn_norms attn_inverse_norms(const float *gamma, size_t m, float *work);

/* The larger of each. */
struct attn_norms attn_inverse_larger(struct attn_norms a, struct attn_norms b);

/* Floats of work memory that attn_inverse needs. */
size_t attn_inverse_work(size_t m);

/* How many multiplications and additions attn_inverse does, counted in pairs: 24m³. */
double attn_inverse_multiply_adds(size_t m);

/* gamma[m×m] = g(gamma[m×m]), scaled by these norms. */
void attn_inverse(float *gamma, size_t m, struct attn_norms norms, float *work);

/* The same for all heads of one stream, from logits in base 2: head h is gamma [m×m] at h · stride, and becomes g of
 * its row softmax. `shared`: each norm is the largest over the heads. */
void attn_inverse_heads(float *gamma, size_t heads, size_t stride, size_t m, bool shared, float *work);
