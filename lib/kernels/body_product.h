/* SPDX-License-Identifier: MIT */
/* C[M×N] = a · A[M×K] · B[K×N] */
#pragma once

static void product(size_t m, size_t k, size_t n, float *c, float a, const float *left, const float *right)
{
    for (size_t i = 0; i < m; i++) {
        size_t j = 0;
        for (; j < n; j += WIDTH) {
            vec sum = vec_set(0.0f);
            size_t width = n - j < WIDTH ? n - j : WIDTH;
            for (size_t p = 0; p < k; p++) {
                const float *row = right + p * n + j;
                sum =
                    vec_fma(vec_set(left[i * k + p]), width == WIDTH ? vec_load(row) : vec_load_part(row, width), sum);
            }
            if (width == WIDTH)
                vec_store(c + i * n + j, vec_set(a) * sum);
            else
                vec_store_part(c + i * n + j, vec_set(a) * sum, width);
        }
    }
}
