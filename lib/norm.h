/* SPDX-License-Identifier: MIT */
/* Layer normalisation. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

struct attn_norm {
    uint32_t n;
    float *weight, *bias; /* [n] each */
};

/* Copies weight and bias, float32 of any alignment. Returns 0 or ATTN_E_MEMORY; done frees, also after an error. */
int attn_norm_init(struct attn_norm *norm, uint32_t n, const void *weight, const void *bias);
void attn_norm_done(struct attn_norm *norm);

/* Y[m×n] = attn_kernels.norm of each row of X[m×n]; Y may be X. */
void attn_norm_apply(const struct attn_norm *norm, const struct attn_kernels *kernels, size_t m, float *y,
                     const float *x);
