/* SPDX-License-Identifier: MIT */
/* The kernels that are no matrix products and no functions of numbers, of every variant, against the same formulas in
 * float64. Two variants differ by no more than twice a tolerance. */
#include "walled.h"

#include <float.h>

enum { MOST = 70 /* beyond the lanes and tiles of every variant */ };

START_TEST(tables_are_what_they_are_called)
{
    const char *names[] = {"best", "generic", "avx2", "avx512", "neon"};
    const struct attn_kernels *best = attn_kernels_of(ATTN_VARIANT_BEST);
    ck_assert_ptr_nonnull(best);
    ck_assert_ptr_eq(best, attn_kernels_of(best->variant));
    ck_assert_ptr_eq(best, variants[n_variants - 1]);
    ck_assert_str_eq(attn_variant_name(ATTN_VARIANT_BEST), best->name);
    ck_assert_ptr_nonnull(attn_kernels_of(ATTN_VARIANT_GENERIC));
    ck_assert_ptr_null(attn_kernels_of((enum attn_variant)99));
    ck_assert_ptr_null(attn_variant_name((enum attn_variant)99));
    for (int i = 0; i < n_variants; i++) {
        ck_assert_str_eq(variants[i]->name, names[variants[i]->variant]);
        ck_assert_str_eq(attn_variant_name(variants[i]->variant), variants[i]->name);
    }
}
END_TEST

START_TEST(single_vectors_at_every_length)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t n = 0; n <= 1000; n += n < MOST ? 1 : 31) {
        float *x = noise(0, n, 1), *y = noise(1, n, 1), *z = array(2, n), *sum = noise(3, n, 1);
        const float *added = noise(3, n, 1);
        kernels->scale(n, z, -3, x);
        for (size_t i = 0; i < n; i++)
            ck_assert(z[i] == -3 * x[i]);
        memcpy(sum, y, n * sizeof(float));
        kernels->add(n, sum, x);
        for (size_t i = 0; i < n; i++)
            ck_assert(sum[i] == x[i] + y[i]);
        kernels->blend(n, z, 0.3f, x, -2.5f, y);
        for (size_t i = 0; i < n; i++)
            check_near("a blend", n, z[i], (double)0.3f * x[i] - 2.5 * y[i], 4e-7);
        check_canary(z);
        check_canary(added);
    }
}
END_TEST

START_TEST(single_vectors_in_place)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t n = 0; n <= MOST; n++) {
        float *x = noise(0, n, 1), *y = noise(1, n, 1), *z = array(2, n);
        kernels->scale(n, z, 0.7f, x);
        kernels->scale(n, x, 0.7f, x);
        check_bits("a scaled vector", n, x, z, n);
        kernels->blend(n, z, 0.3f, x, 0.9f, y);
        float *first = array(3, n), *second = array(4, n);
        memcpy(first, x, n * sizeof(float));
        memcpy(second, y, n * sizeof(float));
        kernels->blend(n, first, 0.3f, first, 0.9f, y);
        kernels->blend(n, second, 0.3f, x, 0.9f, second);
        check_bits("a blend", n, first, z, n);
        check_bits("a blend", n, second, z, n);
    }
}
END_TEST

START_TEST(the_first_that_is_not_finite_is_found)
{
    const struct attn_kernels *kernels = variants[_i];
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t n = 0; n <= 700; n += n < MOST ? 1 : 57) {
        float *x = noise(0, n, FLT_MAX);
        ck_assert_uint_eq(kernels->first_not_finite(n, x), n);
        for (size_t i = n; i-- > 0;) {
            x[i] = bad[i % 3];
            ck_assert_uint_eq(kernels->first_not_finite(n, x), i);
        }
    }
}
END_TEST

START_TEST(logits_stay_within_their_limit)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t n = 1; n <= MOST; n++) {
        float *x = array(0, n);
        for (size_t i = 0; i < n; i++)
            x[i] = i % 5 == 0 ? NAN : i % 5 == 1 ? INFINITY : i % 5 == 2 ? -INFINITY : i % 5 == 3 ? -3e38f : (float)i;
        kernels->clamp(n, x);
        for (size_t i = 0; i < n; i++)
            ck_assert(x[i] == (i % 5 == 1 ? ATTN_LOGIT_LIMIT : i % 5 == 4 ? (float)i : -ATTN_LOGIT_LIMIT));
    }
    const float x[] = {3e38f, 3e38f}, rows[] = {3e38f, 3e38f, 3e38f, -3e38f, -3e38f, -3e38f};
    float logits[3];
    kernels->logits(3, 2, logits, rows, x);
    ck_assert(logits[0] == ATTN_LOGIT_LIMIT && logits[2] == -ATTN_LOGIT_LIMIT);
    ck_assert(logits[1] == -ATTN_LOGIT_LIMIT || logits[1] == 0.0f);
}
END_TEST

/* Rows and floats a row: all tails, and the sizes of windows and heads. */
static void next_shape(size_t *n_rows, size_t *d)
{
    if (*n_rows < 20)
        ++*n_rows;
    else if (*n_rows < 200)
        *n_rows += 47;
    else {
        *n_rows = 0;
        *d = *d < MOST ? *d + 1 : *d * 5 / 2;
    }
}

START_TEST(logits_are_right_at_every_size)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t n_rows = 0, d = 0; d < 1200; next_shape(&n_rows, &d)) {
        const float *rows = noise(0, n_rows * d, 1), *x = noise(1, d, 1);
        float *logits = array(2, n_rows);
        kernels->logits(n_rows, d, logits, rows, x);
        for (size_t r = 0; r < n_rows; r++) {
            double right = 0;
            float alone;
            for (size_t i = 0; i < d; i++)
                right += (double)x[i] * rows[r * d + i];
            check_near("a logit", d, logits[r], right, 1e-7 * (8 + (double)d / 4));
            kernels->logits(1, d, &alone, rows + r * d, x);
            check_bits("a logit", d, &alone, logits + r, 1);
        }
        check_canary(logits);
    }
}
END_TEST

START_TEST(combinations_are_right_at_every_size)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t n_rows = 0, d = 0; d < 1200; next_shape(&n_rows, &d)) {
        const float *rows = noise(0, n_rows * d, 1), *w = noise(1, n_rows, 1), *y0 = noise(2, d, 1);
        float *y = array(3, d), *none = array(4, d), *in_place = array(5, d);
        memcpy(in_place, y0, d * sizeof(float));
        kernels->combine(n_rows, d, y, -0.7f, y0, w, rows);
        kernels->combine(n_rows, d, none, 0, NULL, w, rows);
        kernels->combine(n_rows, d, in_place, -0.7f, in_place, w, rows);
        for (size_t i = 0; i < d; i++) {
            double right = 0;
            for (size_t r = 0; r < n_rows; r++)
                right += (double)w[r] * rows[r * d + i];
            check_near("a combination", n_rows, none[i], right, 1e-7 * (8 + (double)n_rows));
            check_near("a combination", n_rows, y[i], right + (double)-0.7f * y0[i], 1e-7 * (9 + (double)n_rows));
        }
        check_bits("a combination in place", d, in_place, y, d);
        check_canary(y);
    }
}
END_TEST

/* Over a long window rounding errors would add up if one sum ran from its beginning to its end. */
START_TEST(long_combinations_stay_accurate)
{
    enum { N = 2000, D = 128 };
    const struct attn_kernels *kernels = variants[_i];
    float *rows = array(0, N * D), *w = array(1, N), y[D];
    for (size_t i = 0; i < N; i++)
        w[i] = 0.1f;
    for (size_t i = 0; i < N * D; i++)
        rows[i] = 1 + (float)(i % 7) / 7;
    kernels->combine(N, D, y, 0, NULL, w, rows);
    for (size_t i = 0; i < D; i++) {
        double right = 0;
        for (size_t r = 0; r < N; r++)
            right += (double)w[r] * rows[r * D + i];
        check_near("a long combination", N, y[i], right, 3e-7 * right);
    }
}
END_TEST

/* The aggregates of m landmarks: offset and sum; the vectors stand elsewhere. Every third is empty. */
static void fill_aggregates(size_t m, float *offset, float *sum, float spread)
{
    for (size_t j = 0; j < m; j++) {
        bool empty = j % 3 == 2;
        offset[j] = empty ? ATTN_EMPTY_OFFSET : rintf(spread * offset[j]);
        sum[j] = empty ? 0 : 1.5f + sum[j];
    }
}

START_TEST(a_frame_joins_aggregates)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t m = 0; m <= MOST; m++) {
        float *offset = noise(0, m, 1), *sum = noise(1, m, 1), *rescale = array(2, m), *weight = array(3, m);
        const float *logits = noise(4, m, 40);
        fill_aggregates(m, offset, sum, 30);
        float *old = array(5, m), *old_sum = array(6, m);
        memcpy(old, offset, m * sizeof(float));
        memcpy(old_sum, sum, m * sizeof(float));
        kernels->admit(m, offset, sum, rescale, weight, logits);
        for (size_t j = 0; j < m; j++) {
            ck_assert(offset[j] == fmaxf(old[j], ceilf(logits[j])));
            ck_assert(rescale[j] == (float)exp2((double)old[j] - offset[j]));
            check_near("a weight", j, weight[j], exp2((double)logits[j] - offset[j]), 1.2e-7);
            check_near("a sum", j, sum[j], exp2((double)old[j] - offset[j]) * old_sum[j] + weight[j], 3e-7);
        }
        check_canary(offset);
        check_canary(sum);
        check_canary(rescale);
        check_canary(weight);
    }
}
END_TEST

START_TEST(vectors_of_aggregates_are_extended)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t m = 0, d = 0; d < 300; m = m < 18 ? m + 1 : 0, d += m == 0 ? 1 + d / MOST * 20 : 0) {
        float *vectors = noise(0, m * d, 1), *old = array(1, m * d);
        const float *rescale = noise(2, m, 1), *weight = noise(3, m, 1), *v = noise(4, d, 1);
        memcpy(old, vectors, m * d * sizeof(float));
        kernels->extend(m, d, vectors, rescale, weight, v);
        for (size_t i = 0; i < m * d; i++) {
            double right = (double)rescale[i / d] * old[i] + (double)weight[i / d] * v[i % d];
            check_near("an extended vector", d, vectors[i], right, 3e-7);
        }
        check_canary(vectors);
    }
}
END_TEST

/* w[R] · column i of rows[R×d] */
static double combined(size_t n_rows, size_t d, size_t i, const float *w, const float *rows)
{
    double sum = 0;
    for (size_t r = 0; r < n_rows; r++)
        sum += (double)w[r] * rows[r * d + i];
    return sum;
}

/* With and without a frame that the newest aggregates take in. */
START_TEST(windows_are_read_out)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t m = 0, d = 0; d < 300; m = m < 18 ? m + 1 : 0, d += m == 0 ? 1 + d / MOST * 20 : 0) {
        size_t n_rows = (7 * m + d) % 80, n_sources = (m + d) % 4;
        float *newest = noise(0, m * d, 1), *extended = array(1, m * d), *y = array(2, d);
        struct attn_parts parts = {.n_rows = n_rows, .n_sources = n_sources, .newest = newest};
        for (size_t s = 0; s < n_sources; s++) {
            parts.source_weight[s] = noise(3 + (int)s, m, 1);
            parts.source[s] = noise(6 + (int)s, m * d, 1);
        }
        parts.row_weight = noise(9, n_rows, 1);
        parts.rows = noise(10, n_rows * d, 1);
        float others[3 * 18], *rescale = others + 18, *weight = others + 36, value[300];
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
            others[i] = (float)(i % 11) / 11 - 0.4f;
        for (size_t i = 0; i < d; i++)
            value[i] = (float)(i % 13) / 13 - 0.6f;
        parts.newest_weight = others;
        for (int taken = 0; taken < 2; taken++) {
            parts.rescale = taken ? rescale : NULL;
            parts.weight = weight;
            parts.value = value;
            memcpy(extended, newest, m * d * sizeof(float));
            if (taken)
                kernels->extend(m, d, extended, rescale, weight, value);
            kernels->read_out(m, d, y, &parts);
            check_bits("an aggregate that was read out", d, newest, extended, m * d);
            for (size_t i = 0; i < d; i++) {
                double right = combined(n_rows, d, i, parts.row_weight, parts.rows);
                right += combined(m, d, i, others, extended);
                for (size_t s = 0; s < n_sources; s++)
                    right += combined(m, d, i, parts.source_weight[s], parts.source[s]);
                check_near("what was read out", d, y[i], right, 1e-5);
            }
        }
        check_canary(y);
        check_canary(newest);
    }
}
END_TEST

/* Σ of what a landmark's window holds, from an offset on. */
static double total_of(const struct attn_reading *reading, size_t j)
{
    double total = 0;
    for (size_t s = 0; s < reading->n_sources; s++)
        total += exp2(reading->offset[s][j]) * reading->sum[s][j];
    for (size_t r = 0; r < reading->n_rows; r++)
        total += exp2(reading->logits[r * reading->m + j]);
    return total;
}

static void check_shares(const struct attn_reading *reading)
{
    size_t m = reading->m;
    for (size_t s = 0; s < reading->n_sources; s++) {
        for (size_t j = 0; j < m; j++) {
            double right = reading->w[j] * exp2(reading->offset[s][j]) / total_of(reading, j);
            right = reading->w[j] == 0 ? 0 : right;
            check_near("a source's factor", m, reading->source_weight[s][j], right, 5e-7 * (fabs(right) + 1e-20));
        }
        check_canary(reading->source_weight[s]);
    }
    for (size_t r = 0; r < reading->n_rows; r++) {
        double right = 0, size = 1e-20;
        for (size_t j = 0; j < m; j++) {
            double part = reading->w[j] == 0 ? 0 : exp2(reading->logits[r * m + j]) / total_of(reading, j);
            right += reading->w[j] * part;
            size += fabs(reading->w[j] * part);
        }
        check_near("a row's factor", r, reading->row_weight[r], right,
                   3e-6 * size); /* L − O is rounded, up to 2e-6 of it */
    }
    check_canary(reading->row_weight);
}

START_TEST(shares_are_right_at_every_size)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t m = 0; m <= MOST; m += m < 40 ? 1 : 10) {
        for (size_t n_rows = 0; n_rows <= 300; n_rows += n_rows < 20 ? 1 : 70) {
            struct attn_reading reading = {.m = m, .n_rows = n_rows, .n_sources = (m + n_rows) % 4};
            float *w = noise(0, m, 1);
            reading.logits = noise(1, n_rows * m, 20);
            reading.row_weight = array(2, n_rows);
            for (size_t s = 0; s < reading.n_sources; s++) {
                float *offset = noise(3 + 3 * (int)s, m, 1), *sum = noise(4 + 3 * (int)s, m, 1);
                fill_aggregates(m, offset, sum, 20);
                reading.offset[s] = offset;
                reading.sum[s] = sum;
                reading.source_weight[s] = array(5 + 3 * (int)s, m);
            }
            for (size_t j = 0; j < m; j++)
                w[j] = j % 7 == 3 || total_of(&reading, j) == 0 ? 0 : w[j];
            reading.w = w;
            float work[3 * MOST];
            reading.work = work;
            kernels->shares(&reading);
            check_shares(&reading);
        }
    }
}
END_TEST

/* Logits of 2^22 and more come in halves, and a sum over them is still right. */
START_TEST(large_logits_keep_their_weights)
{
    const struct attn_kernels *kernels = variants[_i];
    const float logits[] = {4194304.5f, 4194305.0f, 4194305.5f}, w[] = {1};
    float offset[] = {ATTN_EMPTY_OFFSET}, sum[] = {0}, rescale[1], weight[1], vector = 0, factor[1], work[3];
    for (size_t i = 0; i < 3; i++) {
        kernels->admit(1, offset, sum, rescale, weight, logits + i);
        vector = rescale[0] * vector + weight[0] * (i == 2);
    }
    struct attn_reading reading = {
        .m = 1, .n_sources = 1, .w = w, .offset = {offset}, .sum = {sum}, .source_weight = {factor}, .work = work};
    kernels->shares(&reading);
    check_near("a mean", 1, factor[0] * vector, 1 / (1 + exp2(-0.5) + exp2(-1)), 1e-6);
}
END_TEST

/* Frames that join one by one, and a few at a time in a chain, of which some have none. */
START_TEST(folding_equals_joining)
{
    enum { D = 19, N_LINKS = 5 };
    const struct attn_kernels *kernels = variants[_i];
    for (size_t n = 0, d = 1; n <= MOST; n += d == D, d = d % D + 1) {
        const float *values = noise(0, n * d, 1), *spread = noise(1, n, 30);
        float *logits = array(2, n), vector[D] = {0}, offset = ATTN_EMPTY_OFFSET, sum = 0;
        float offsets[N_LINKS] = {ATTN_EMPTY_OFFSET}, sums[N_LINKS] = {0}, *vectors = array(3, N_LINKS * d);
        struct attn_link links[N_LINKS];
        memcpy(logits, spread, n * sizeof(float));
        memset(vectors, 0, d * sizeof(float));
        const size_t bounds[N_LINKS + 1] = {0, n / 2, n / 2, n, n, n};
        for (size_t l = 0; l < N_LINKS; l++)
            links[l] = (struct attn_link){.offset = &offsets[l],
                                          .sum = &sums[l],
                                          .vector = vectors + l * d,
                                          .n_rows = bounds[l + 1] - bounds[l],
                                          .logits = logits + bounds[l],
                                          .values = values + bounds[l] * d};
        kernels->fold(N_LINKS, d, links, offsets[0], sums[0], vectors);
        for (size_t l = 0, r = 0; l < N_LINKS; l++) {
            for (size_t end = r + links[l].n_rows; r < end; r++) {
                float rescale, weight;
                kernels->admit(1, &offset, &sum, &rescale, &weight, spread + r);
                kernels->extend(1, d, vector, &rescale, &weight, values + r * d);
            }
            ck_assert(offsets[l] == offset);
            check_near("a folded sum", n, sums[l], sum, 2e-6);
            for (size_t i = 0; i < d; i++)
                check_near("a folded vector", n, vectors[l * d + i], vector[i], 3e-6);
        }
        check_canary(vectors);
    }
}
END_TEST

START_TEST(matrices_are_transposed)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t m = 0; m <= 21; m++) {
        for (size_t n = 0; n <= 21; n++) {
            const float *from = noise(0, m * n, 1);
            float *to = array(1, n * m);
            kernels->transpose(m, n, to, -0.5f, from);
            for (size_t i = 0; i < m * n; i++)
                ck_assert(to[i % n * m + i / n] == -0.5f * from[i]);
            check_canary(to);
        }
    }
}
END_TEST

START_TEST(logits_by_columns_equal_logits_by_rows)
{
    const struct attn_kernels *kernels = variants[_i];
    for (size_t m = 0, d = 0; d <= 130; m = m < MOST ? m + 1 : 0, d += m == 0 ? 13 : 0) {
        const float *rows = noise(0, m * d, 1), *x = noise(1, d, 1);
        float *by_d = array(2, d * m), *right = array(3, m), *logits = array(4, m);
        for (size_t i = 0; i < m * d; i++)
            by_d[i % d * m + i / d] = rows[i];
        kernels->logits(m, d, right, rows, x);
        kernels->logits_by_d(d, m, logits, x, by_d);
        for (size_t j = 0; j < m; j++)
            check_near("a logit", d, logits[j], right[j], 1e-7 * (8 + (double)d / 2));
        check_canary(logits);
    }
}
END_TEST

static Suite *kernels(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tcase = tcase_create("kernels");
    find_variants();
    tcase_add_test(tcase, tables_are_what_they_are_called);
    tcase_add_loop_test(tcase, single_vectors_at_every_length, 0, n_variants);
    tcase_add_loop_test(tcase, single_vectors_in_place, 0, n_variants);
    tcase_add_loop_test(tcase, the_first_that_is_not_finite_is_found, 0, n_variants);
    tcase_add_loop_test(tcase, logits_stay_within_their_limit, 0, n_variants);
    tcase_add_loop_test(tcase, logits_are_right_at_every_size, 0, n_variants);
    tcase_add_loop_test(tcase, combinations_are_right_at_every_size, 0, n_variants);
    tcase_add_loop_test(tcase, long_combinations_stay_accurate, 0, n_variants);
    tcase_add_loop_test(tcase, a_frame_joins_aggregates, 0, n_variants);
    tcase_add_loop_test(tcase, vectors_of_aggregates_are_extended, 0, n_variants);
    tcase_add_loop_test(tcase, windows_are_read_out, 0, n_variants);
    tcase_add_loop_test(tcase, shares_are_right_at_every_size, 0, n_variants);
    tcase_add_loop_test(tcase, large_logits_keep_their_weights, 0, n_variants);
    tcase_add_loop_test(tcase, folding_equals_joining, 0, n_variants);
    tcase_add_loop_test(tcase, matrices_are_transposed, 0, n_variants);
    tcase_add_loop_test(tcase, logits_by_columns_equal_logits_by_rows, 0, n_variants);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(kernels());
