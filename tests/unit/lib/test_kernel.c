/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <math.h>

#include "../run.h"
#include "aggregate.h"
#include "exp2.h"
#include "stream.h"

enum {
    MOST = 70 /* beyond the lanes and tiles of every loop */
};

START_TEST(exp2_is_accurate)
{
    for (float x = 0.0f; x > ATTN_EXP2_LEAST; x -= 0.00390625f * 1.37f) {
        double right = exp2((double)x);
        ck_assert_msg(fabs((double)attn_exp2(x) - right) <= 1.2e-7 * right, "2^%.9g is %.9g", (double)x,
                      (double)attn_exp2(x));
    }
    ck_assert(attn_exp2(0.0f) == 1.0f);
    ck_assert(attn_exp2(-101.0f) == 0.0f);
    ck_assert(attn_exp2(-1e30f) == 0.0f);
}
END_TEST

START_TEST(integer_powers_are_exact)
{
    for (int e = 0; e >= -126; e--)
        ck_assert(attn_exp2_integer((float)e) == ldexpf(1.0f, e));
    ck_assert(attn_exp2_integer(-127.0f) == 0.0f);
    ck_assert(attn_exp2_integer(-1e30f) == 0.0f);
}
END_TEST

START_TEST(ceil_is_that_of_the_c_library)
{
    const float x[] = {0.0f,       0.5f,       -0.5f,       1.0f,        -1.0f,   1.0000001f, 2.5f,
                       -2.5f,      4194302.5f, 4194305.5f,  -4194305.5f, 0x1p23f, 0x1p31f,    -0x1p31f,
                       8388607.5f, 1e20f,      -8388607.5f, -1e20f,      0x1p100f};
    for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++)
        ck_assert_msg(attn_ceil(x[i]) == ceilf(x[i]), "of %.9g", (double)x[i]);
    for (float y = -3.0f; y < 3.0f; y += 0.03125f)
        ck_assert(attn_ceil(y) == ceilf(y));
}
END_TEST

/* All lengths, so that every tail of every loop is met. */
START_TEST(logits_and_combinations_are_right_at_every_size)
{
    float *rows = noise(1, MOST * MOST, 1), *x = noise(2, MOST, 1);
    float logits[MOST], y[MOST];
    for (size_t d = 1; d <= MOST; d++) {
        size_t n_rows = MOST - d + 1;
        attn_kernel_logits(logits, x, rows, n_rows, d);
        attn_kernel_combine(y, x, rows, n_rows, d);
        for (size_t r = 0; r < n_rows; r++) {
            double right = 0;
            for (size_t i = 0; i < d; i++)
                right += (double)x[i] * rows[r * d + i];
            ck_assert(fabs(logits[r] - right) < 2e-5);
        }
        for (size_t i = 0; i < d; i++) {
            double right = 0;
            for (size_t r = 0; r < n_rows; r++)
                right += (double)x[r] * rows[r * d + i];
            ck_assert(fabs(y[i] - right) < 2e-5);
        }
    }
    free(rows);
    free(x);
}
END_TEST

START_TEST(logits_are_finite_whatever_overflows)
{
    const float x[] = {3e38f, 3e38f}, rows[] = {3e38f, 3e38f, 3e38f, -3e38f, -3e38f, -3e38f};
    float logits[3];
    attn_kernel_logits(logits, x, rows, 3, 2);
    ck_assert(logits[0] == ATTN_LOGIT_LIMIT);
    ck_assert(logits[1] == -ATTN_LOGIT_LIMIT);
    ck_assert(logits[2] == -ATTN_LOGIT_LIMIT);
}
END_TEST

/* One aggregate over terms that came one by one is that over the same terms folded at once, whatever their logits. */
START_TEST(terms_one_by_one_and_at_once_agree)
{
    enum { N = 40, D = 5 };
    float one_memory[64], all_memory[64], none_memory[64], logits[N], front[1], back[1];
    const float weight[] = {1.0f};
    float *values = noise(3, N * D, 1), *spread = noise(4, N, 50);
    struct attn_aggregates one = attn_aggregates_at(one_memory, 1), all = attn_aggregates_at(all_memory, 1);
    struct attn_aggregates none = attn_aggregates_at(none_memory, 1);
    ck_assert_uint_le(attn_aggregates_floats(1, D), 64);
    attn_aggregates_clear(one, 0, 1, D);
    attn_aggregates_clear(none, 0, 1, D);
    for (size_t i = 0; i < N; i++) {
        logits[i] = spread[i];
        attn_aggregates_extend(one, one, spread + i, values + i * D, 1, D);
    }
    attn_aggregates_fold(all, none, 0, logits, values, N, D);
    attn_aggregates_weigh(front, back, weight, all, none, 1);
    ck_assert(back[0] == 0.0f);
    for (size_t x = 0; x < D; x++)
        ck_assert(fabsf(front[0] * all.vector[x] - one.vector[x] / one.sum[0]) < 1e-6f);
    ck_assert(one.offset[0] == all.offset[0]);
    ck_assert(one.sum[0] >= 0.5f);
    free(values);
    free(spread);
}
END_TEST

/* Logits of 2^22 and more come in halves, and a sum over them is still right. */
START_TEST(large_logits_keep_their_weights)
{
    float memory[64], none_memory[64], front[1], back[1];
    const float weight[] = {1.0f}, logits[] = {4194304.5f, 4194305.0f, 4194305.5f}, values[] = {0.0f, 0.0f, 1.0f};
    struct attn_aggregates all = attn_aggregates_at(memory, 1), none = attn_aggregates_at(none_memory, 1);
    attn_aggregates_clear(all, 0, 1, 1);
    attn_aggregates_clear(none, 0, 1, 1);
    for (size_t i = 0; i < 3; i++)
        attn_aggregates_extend(all, all, logits + i, values + i, 1, 1);
    attn_aggregates_weigh(front, back, weight, all, none, 1);
    float right = 1 / (1 + exp2f(-0.5f) + exp2f(-1.0f));
    ck_assert_msg(fabsf(front[0] * all.vector[0] - right) < 1e-6f, "%g is not %g", front[0] * all.vector[0], right);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("kernel");
    TCase *cases = tcase_create("kernel");
    tcase_add_test(cases, exp2_is_accurate);
    tcase_add_test(cases, integer_powers_are_exact);
    tcase_add_test(cases, ceil_is_that_of_the_c_library);
    tcase_add_test(cases, logits_and_combinations_are_right_at_every_size);
    tcase_add_test(cases, logits_are_finite_whatever_overflows);
    tcase_add_test(cases, large_logits_keep_their_weights);
    tcase_add_test(cases, terms_one_by_one_and_at_once_agree);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
