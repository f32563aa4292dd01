/* SPDX-License-Identifier: MIT */
/* Y = X Wᵀ + b with weights packed once. It knows nothing of models. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

struct attn_linear {
    uint32_t n_in, n_out; /* n_out 0: absent, the identity */
    float *panels; /* [⌈n_out/16⌉][n_in][16], ATTN_PANEL rows of W side by side, zeros where there is no row */
    float *bias;   /* [⌈n_out/16⌉ · 16] */
};

/* Makes W and b of zeros, in memory that done frees. Returns 0 or ATTN_E_MEMORY. */
int attn_linear_init(struct attn_linear *linear, uint32_t n_out, uint32_t n_in);
void attn_linear_done(struct attn_linear *linear);

/* Sets rows first … first+n_rows−1 of W from weight [n_rows][n_in] and of b from bias [n_rows], both float32 of any
 * alignment. */
void attn_linear_set_rows(struct attn_linear *linear, uint32_t first, uint32_t n_rows, const void *weight,
                          const void *bias);

/* Y [m][n_out] = X [m][n_in] · Wᵀ + b, which do not overlap; or a copy of X where the linear is absent. A row's bits
 * depend on its own x and on W alone: every output is summed over k = 0, 1, 2, … from its bias on. */
void attn_linear_apply(const struct attn_linear *linear, const struct attn_kernels *kernels, size_t m,
                       float *restrict y, const float *restrict x);
