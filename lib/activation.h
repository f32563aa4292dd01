/* SPDX-License-Identifier: MIT */
/* Functions of one vector x[n], in place. */
#pragma once

#include <stddef.h>

/* x ← x · Φ(x) = x/2 · (1 + erf(x/√2)), the exact GELU. Source: Hendrycks and Gimpel, arXiv 1606.08415. */
void attn_gelu(float *x, size_t n);

/* x ← max(x, 0) */
void attn_relu(float *x, size_t n);

/* x ← exp(x − max x) / Σ exp(x − max x) */
void attn_softmax(float *x, size_t n);

/* x ← 1 / (1 + exp(−x)) */
void attn_sigmoid(float *x, size_t n);
