/* SPDX-License-Identifier: MIT */
/* Y[M×n_out] = X[M×n_in] · Wᵀ + b with W in panels */
#pragma once

static void packed(size_t m, size_t n_in, size_t n_out, float *y, const float *x, const float *panels,
                   const float *bias)
{
    for (size_t first = 0; first < n_out; first += WIDTH) {
        const float *panel = panels + first / ATTN_PANEL * n_in * ATTN_PANEL + first % ATTN_PANEL;
        size_t width = n_out - first < WIDTH ? n_out - first : WIDTH;
        for (size_t i = 0; i < m; i++) {
            vec sum = vec_load(bias + first);
            for (size_t k = 0; k < n_in; k++)
                sum = vec_fma(vec_set(x[i * n_in + k]), vec_load(panel + k * ATTN_PANEL), sum);
            if (width == WIDTH)
                vec_store(y + i * n_out + first, sum);
            else
                vec_store_part(y + i * n_out + first, sum, width);
        }
    }
}
