/* SPDX-License-Identifier: MIT */
/* y = W x + b with weights packed once. It knows nothing of models; the path of a frame needs no BLAS. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct attn_linear {
    uint32_t n_in, n_out; /* n_out 0: absent, the identity */
    float *panels;        /* [⌈n_out/16⌉][n_in][16]: 16 rows of W side by side, zeros where there is no row */
    float *bias;          /* [⌈n_out/16⌉ · 16] */
};

/* Makes W and b of zeros, in memory that done frees. Returns 0 or ATTN_E_MEMORY. */
int attn_linear_init(struct attn_linear *linear, uint32_t n_out, uint32_t n_in);
void attn_linear_done(struct attn_linear *linear);

/* Sets rows first … first+n_rows−1 of W from weight [n_rows][n_in] and of b from bias [n_rows], both float32 of any
 * alignment. */
void attn_linear_set_rows(struct attn_linear *linear, uint32_t first, uint32_t n_rows, const void *weight,
                          const void *bias);

/* y [n_out] = W x + b with x [n_in], which does not overlap y; or a copy where the linear is absent, of n_in values.
 * Every output is summed over k = 0, 1, 2, … from its bias on, so its bits depend on x and W alone. */
void attn_linear_apply(const struct attn_linear *linear, float *restrict y, const float *restrict x);
