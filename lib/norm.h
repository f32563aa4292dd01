/* SPDX-License-Identifier: MIT */
/* Layer normalisation over one vector. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct attn_norm {
    uint32_t n;
    float *weight, *bias; /* [n] each */
};

/* Copies weight and bias, float32 of any alignment. Returns 0 or ATTN_E_MEMORY; done frees, also after an error. */
int attn_norm_init(struct attn_norm *norm, uint32_t n, const void *weight, const void *bias);
void attn_norm_done(struct attn_norm *norm);

/* y[n] = (x − mean x) / √(var x + 1e-5) · weight + bias, var over n; y may be x.
 * Source: Ba et al., arXiv 1607.06450. */
void attn_norm_apply(const struct attn_norm *norm, float *y, const float *x);
