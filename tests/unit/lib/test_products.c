/* SPDX-License-Identifier: MIT */
/* Matrix products of every variant: right at every size, and a row's bits are its own. */
#include "walled.h"

enum { A, B, C, BIAS, PANELS, WHOLE };

/* K and N of products: all tails of vectors, panels and tiles, and the sizes that attention and models have. */
static const size_t sizes[][2] = {{1, 1},   {3, 2},   {4, 4},   {5, 7},   {8, 8},   {12, 12}, {16, 16},  {17, 15},
                                  {9, 17},  {16, 24}, {7, 31},  {32, 32}, {6, 33},  {20, 47}, {64, 64},  {10, 65},
                                  {5, 79},  {3, 95},  {4, 96},  {6, 111}, {7, 112}, {5, 127}, {16, 128}, {2, 129},
                                  {33, 70}, {0, 20},  {70, 12}, {1, 192}, {9, 200}, {192, 48}};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

enum { MOST_ROWS = 40 }; /* more than three of the tallest tiles */

/* Far above the rounding errors of k products of noise, far below one product that is missing. */
static double tolerance(size_t k)
{
    return 1e-7 * (8 + (double)k);
}

START_TEST(products_are_right_at_every_size)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t s = 0; s < N_SIZES; s++) {
        size_t k = sizes[s][0], n = sizes[s][1];
        for (size_t m = 0; m <= MOST_ROWS; m++) {
            const float *left = noise(A, m * k, 1), *right = noise(B, k * n, 1);
            float *c = noise(C, m * n, 1);
            kernels->product(m, k, n, c, -0.25f, left, right);
            for (size_t i = 0; i < m * n; i++) {
                double sum = 0;
                for (size_t j = 0; j < k; j++)
                    sum += (double)left[i / n * k + j] * right[j * n + i % n];
                check_near("a product", m, c[i], -0.25 * sum, tolerance(k));
            }
            check_canary(c);
        }
    }
}
END_TEST

/* W[n×k] of noise into panels, and b, with zeros where there is no row; as attn_linear does. */
static const float *packed_noise(size_t k, size_t n, const float *rows, const float **bias)
{
    size_t n_panels = (n + ATTN_PANEL - 1) / ATTN_PANEL;
    float *panels = array(PANELS, n_panels * k * ATTN_PANEL), *b = noise(BIAS, n_panels * ATTN_PANEL, 1);
    memset(panels, 0, n_panels * k * ATTN_PANEL * sizeof(float));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < k; j++)
            panels[(i / ATTN_PANEL * k + j) * ATTN_PANEL + i % ATTN_PANEL] = rows[i * k + j];
    *bias = b;
    return panels;
}

START_TEST(packed_products_are_right_at_every_size)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t s = 0; s < N_SIZES; s++) {
        size_t k = sizes[s][0], n = sizes[s][1];
        const float *rows = noise(B, n * k, 1), *bias, *panels = packed_noise(k, n, rows, &bias);
        for (size_t m = 0; m <= MOST_ROWS; m++) {
            const float *x = noise(A, m * k, 1);
            float *y = noise(C, m * n, 1);
            kernels->packed(m, k, n, y, x, panels, bias);
            for (size_t i = 0; i < m * n; i++) {
                double sum = bias[i % n];
                for (size_t j = 0; j < k; j++)
                    sum += (double)x[i / n * k + j] * rows[i % n * k + j];
                check_near("a packed product", m, y[i], sum, tolerance(k));
            }
            check_canary(y);
        }
    }
}
END_TEST

/* Any rows of a product, on their own, have the bits that they have in the whole. */
START_TEST(rows_have_the_same_bits_alone)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t s = 0; s < N_SIZES; s++) {
        size_t k = sizes[s][0], n = sizes[s][1];
        const float *left = noise(A, MOST_ROWS * k, 1), *right = noise(B, k * n, 1);
        float *whole = array(WHOLE, MOST_ROWS * n);
        kernels->product(MOST_ROWS, k, n, whole, 3, left, right);
        for (size_t m = 1; m < MOST_ROWS; m++) {
            for (size_t first = 0; first + m <= MOST_ROWS; first += first % 3 + 1) {
                float *c = array(C, m * n);
                kernels->product(m, k, n, c, 3, left + first * k, right);
                check_bits("a product", m, c, whole + first * n, m * n);
            }
        }
    }
}
END_TEST

START_TEST(packed_rows_have_the_same_bits_alone)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t s = 0; s < N_SIZES; s++) {
        size_t k = sizes[s][0], n = sizes[s][1];
        const float *x = noise(A, MOST_ROWS * k, 1), *bias, *panels = packed_noise(k, n, noise(B, n * k, 1), &bias);
        float *whole = array(WHOLE, MOST_ROWS * n);
        kernels->packed(MOST_ROWS, k, n, whole, x, panels, bias);
        for (size_t m = 1; m < MOST_ROWS; m++) {
            for (size_t first = 0; first + m <= MOST_ROWS; first += first % 3 + 1) {
                float *y = array(C, m * n);
                kernels->packed(m, k, n, y, x + first * k, panels, bias);
                check_bits("a packed product", m, y, whole + first * n, m * n);
            }
        }
    }
}
END_TEST

/* Nor do they depend on how many outputs stand beside them. */
START_TEST(packed_columns_have_the_same_bits_alone)
{
    enum { K = 77, N = 150 };
    const struct attn_kernels *kernels = variants[_i];
    const float *rows = noise(B, N * K, 1), *x = noise(A, MOST_ROWS * K, 1), *bias;
    const float *panels = packed_noise(K, N, rows, &bias);
    for (size_t m = 1; m <= MOST_ROWS; m += m % 5 + 1) {
        float *whole = array(WHOLE, m * N);
        kernels->packed(m, K, N, whole, x, panels, bias);
        for (size_t n = 1; n < N; n++) {
            float *y = array(C, m * n);
            kernels->packed(m, K, n, y, x, panels, bias);
            for (size_t i = 0; i < m; i++)
                check_bits("a packed product", n, y + i * n, whole + i * N, n);
        }
    }
}
END_TEST

static Suite *products(void)
{
    Suite *suite = suite_create("products");
    TCase *tcase = tcase_create("products");
    find_variants();
    tcase_add_loop_test(tcase, products_are_right_at_every_size, 0, n_variants);
    tcase_add_loop_test(tcase, packed_products_are_right_at_every_size, 0, n_variants);
    tcase_add_loop_test(tcase, rows_have_the_same_bits_alone, 0, n_variants);
    tcase_add_loop_test(tcase, packed_rows_have_the_same_bits_alone, 0, n_variants);
    tcase_add_loop_test(tcase, packed_columns_have_the_same_bits_alone, 0, n_variants);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(products());
