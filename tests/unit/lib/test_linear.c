/* SPDX-License-Identifier: MIT */
/* The small functions that layers are made of, against the same formulas in float64. */
#include "lib/linear.h"
#include "lib/norm.h"
#include "tests/unit/run.h"

#include <math.h>
#include <string.h>

/* Numbers in (−2, 2), the same in every run. */
static void fill(float *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)((int32_t)seed >> 8) / (float)(1 << 22);
    }
}

static const uint32_t sizes[] = {1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 100};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

START_TEST(linear_equals_the_formula_at_every_size)
{
    uint32_t n_out = sizes[_i];
    for (size_t s = 0; s < N_SIZES; s++) {
        uint32_t n_in = sizes[s];
        struct attn_linear linear;
        char *file = malloc((size_t)n_out * n_in * sizeof(float) + 1);
        float *weight = malloc((size_t)n_out * n_in * sizeof(float));
        float bias[100], x[100], y[101];
        fill(weight, (size_t)n_out * n_in, n_in);
        fill(bias, n_out, 7);
        fill(x, n_in, 8);
        memcpy(file + 1, weight, (size_t)n_out * n_in * sizeof(float));
        ck_assert_int_eq(attn_linear_init(&linear, n_out, n_in), 0);
        uint32_t first = n_out / 3; /* in two parts, from bytes of any alignment */
        attn_linear_set_rows(&linear, 0, first, file + 1, bias);
        attn_linear_set_rows(&linear, first, n_out - first, file + 1 + (size_t)first * n_in * sizeof(float),
                             bias + first);
        y[n_out] = 12345;
        attn_linear_apply(&linear, attn_kernels_of(ATTN_VARIANT_BEST), 1, y, x);
        ck_assert_float_eq(y[n_out], 12345);
        for (uint32_t i = 0; i < n_out; i++) {
            double sum = bias[i];
            for (uint32_t k = 0; k < n_in; k++)
                sum += (double)weight[i * n_in + k] * x[k];
            ck_assert_double_eq_tol(y[i], sum, 1e-4);
        }
        attn_linear_done(&linear);
        free(weight);
        free(file);
    }
}
END_TEST

START_TEST(an_absent_linear_copies)
{
    struct attn_linear linear = {.n_in = 3};
    float x[6] = {1, 2, 3, 4, 5, 6}, y[7] = {0, 0, 0, 0, 0, 0, 9};
    attn_linear_apply(&linear, attn_kernels_of(ATTN_VARIANT_BEST), 2, y, x);
    ck_assert_int_eq(memcmp(x, y, sizeof(x)), 0);
    ck_assert_float_eq(y[6], 9);
    attn_linear_done(&linear);
}
END_TEST

/* An output's bits depend on its weights alone, not on how many outputs stand beside it. */
START_TEST(the_same_bits_in_every_panel)
{
    enum { K = 77, N = 64 };
    float row[K], x[K], first = 0;
    fill(row, K, 1);
    fill(x, K, 2);
    for (uint32_t n_out = 1; n_out <= N; n_out++) {
        struct attn_linear linear;
        float bias = 0.25f, y[N];
        ck_assert_int_eq(attn_linear_init(&linear, n_out, K), 0);
        for (uint32_t i = 0; i < n_out; i++)
            attn_linear_set_rows(&linear, i, 1, row, &bias);
        attn_linear_apply(&linear, attn_kernels_of(ATTN_VARIANT_BEST), 1, y, x);
        first = n_out == 1 ? y[0] : first;
        for (uint32_t i = 0; i < n_out; i++)
            ck_assert_msg(memcmp(&y[i], &first, sizeof(float)) == 0, "output %u of %u differs", i, n_out);
        attn_linear_done(&linear);
    }
}
END_TEST

/* Many rows have the bits that each has alone, and so have their norms. */
START_TEST(rows_have_the_same_bits_alone)
{
    enum { M = 19, K = 33, N = 21 };
    const struct attn_kernels *kernels = attn_kernels_of(ATTN_VARIANT_BEST);
    struct attn_linear linear;
    struct attn_norm norm;
    float weight[N * K], bias[N], x[M * K], y[M * N], alone[N];
    fill(weight, N * K, 1);
    fill(bias, N, 2);
    fill(x, M * K, 3);
    ck_assert_int_eq(attn_linear_init(&linear, N, K), 0);
    attn_linear_set_rows(&linear, 0, N, weight, bias);
    ck_assert_int_eq(attn_norm_init(&norm, N, weight, bias), 0);
    attn_linear_apply(&linear, kernels, M, y, x);
    attn_norm_apply(&norm, kernels, M, y, y);
    for (size_t i = 0; i < M; i++) {
        attn_linear_apply(&linear, kernels, 1, alone, x + i * K);
        attn_norm_apply(&norm, kernels, 1, alone, alone);
        ck_assert_int_eq(memcmp(alone, y + i * N, sizeof(alone)), 0);
    }
    attn_norm_done(&norm);
    attn_linear_done(&linear);
}
END_TEST

START_TEST(norm_equals_the_formula)
{
    for (size_t s = 0; s < N_SIZES; s++) {
        uint32_t n = sizes[s];
        float x[100], weight[100], bias[100], y[100];
        double mean = 0, variance = 0;
        struct attn_norm norm;
        fill(x, n, 3);
        fill(weight, n, 4);
        fill(bias, n, 5);
        for (uint32_t i = 0; i < n; i++)
            mean += x[i] / (double)n;
        for (uint32_t i = 0; i < n; i++)
            variance += (x[i] - mean) * (x[i] - mean) / n;
        ck_assert_int_eq(attn_norm_init(&norm, n, weight, bias), 0);
        attn_norm_apply(&norm, attn_kernels_of(ATTN_VARIANT_BEST), 1, y, x);
        for (uint32_t i = 0; i < n; i++)
            ck_assert_double_eq_tol(y[i], (x[i] - mean) / sqrt(variance + 1e-5) * weight[i] + bias[i], 1e-6);
        attn_norm_apply(&norm, attn_kernels_of(ATTN_VARIANT_BEST), 1, x, x);
        ck_assert_int_eq(memcmp(x, y, n * sizeof(float)), 0);
        attn_norm_done(&norm);
    }
}
END_TEST

START_TEST(norm_takes_constants_and_giants)
{
    float weight[4] = {1, 1, 1, 1}, bias[4] = {0, 0, 0, 0}, y[4];
    struct attn_norm norm;
    ck_assert_int_eq(attn_norm_init(&norm, 4, weight, bias), 0);
    attn_norm_apply(&norm, attn_kernels_of(ATTN_VARIANT_BEST), 1, y, (float[]){5, 5, 5, 5});
    ck_assert_float_eq(y[0], 0);
    attn_norm_apply(&norm, attn_kernels_of(ATTN_VARIANT_BEST), 1, y, (float[]){3e38f, -3e38f, 3e38f, -3e38f});
    ck_assert_float_eq_tol(y[0], 1, 1e-6f);
    ck_assert_float_eq_tol(y[1], -1, 1e-6f);
    attn_norm_done(&norm);
}
END_TEST

static Suite *linear(void)
{
    Suite *suite = suite_create("linear");
    TCase *tcase = tcase_create("functions");
    tcase_add_loop_test(tcase, linear_equals_the_formula_at_every_size, 0, N_SIZES);
    tcase_add_test(tcase, an_absent_linear_copies);
    tcase_add_test(tcase, the_same_bits_in_every_panel);
    tcase_add_test(tcase, rows_have_the_same_bits_alone);
    tcase_add_test(tcase, norm_equals_the_formula);
    tcase_add_test(tcase, norm_takes_constants_and_giants);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(linear());
