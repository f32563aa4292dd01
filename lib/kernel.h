/* SPDX-License-Identifier: MIT */
/* The loops over floats that the layers are written in. Matrices are row-major and dense; nothing overlaps unless it is
 * said. They know nothing of windows and landmarks. The order of every sum is fixed by the shapes alone. */
#pragma once

#include <stddef.h>

/* Logits stay within ± this, so that sums of a few never overflow; a NaN out of an overflowed product becomes the lower
 * bound. */
#define ATTN_LOGIT_LIMIT 0x1p100f

/* y[n] = a · x[n]; y may be x. */
void attn_kernel_scale(float *y, const float *x, float a, size_t n);

/* y[n] += x[n] */
void attn_kernel_add(float *y, const float *x, size_t n);

/* z[n] = a · x[n] + b · y[n]; z may be x. */
void attn_kernel_blend(float *z, const float *x, float a, const float *y, float b, size_t n);

/* logits[R] = rows[R×d] · x[d], within ± ATTN_LOGIT_LIMIT */
void attn_kernel_logits(float *logits, const float *x, const float *rows, size_t n_rows, size_t d);

/* max over x[n], n > 0 */
float attn_kernel_max(const float *x, size_t n);

/* weights[n] = 2^(logits[n] − offset), and their sum; no logit is above the offset, and what is below 2^−100 is 0.
 * weights may be logits. */
float attn_kernel_weights(float *weights, const float *logits, float offset, size_t n);

/* x[n] = 2^x[n] / Σ 2^x[n] */
void attn_kernel_softmax(float *x, size_t n);

/* y[d] = w[R] · rows[R×d] */
void attn_kernel_combine(float *y, const float *w, const float *rows, size_t n_rows, size_t d);
