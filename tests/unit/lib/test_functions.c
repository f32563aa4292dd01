/* SPDX-License-Identifier: MIT */
/* The functions of vectors against those of the C library in double, for every variant that this machine has. The
 * tolerances are a little above the largest error of all variants, measured over two million floats. */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "../run.h"
#include "kernels/kernels.h"

enum {
    MOST = 70,       /* beyond the lanes and unrolled loops of every variant */
    CHUNK = 1000,    /* elements of a grid at a time; no multiple of any vector */
    REACHABLE = 1024 /* floats before a wall */
};

#define CANARY 7.25f

static const struct attn_kernels *variants[4];
static int n_variants;

static void find_variants(void)
{
    const enum attn_variant all[] = {ATTN_VARIANT_GENERIC, ATTN_VARIANT_AVX2, ATTN_VARIANT_AVX512, ATTN_VARIANT_NEON};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (attn_kernels_of(all[i]) != NULL)
            variants[n_variants++] = attn_kernels_of(all[i]);
}

/* The end of REACHABLE floats: what stands there cannot be touched. Its memory goes with the test's process. */
static float *wall(void)
{
    size_t bytes = REACHABLE * sizeof(float), beyond = 1 << 16;
    char *at = mmap(NULL, bytes + beyond, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(at != MAP_FAILED);
    ck_assert_int_eq(mprotect(at + bytes, beyond, PROT_NONE), 0);
    float *end = (float *)(at + bytes);
    for (size_t i = 1; i <= REACHABLE; i++)
        end[-(ptrdiff_t)i] = CANARY;
    return end;
}

/* x[n] of noise in ± size, the last before a wall. */
static float *noise_at(float *end, size_t n, float size, uint32_t seed)
{
    float *x = end - n;
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = size * ((float)(int32_t)state / 2147483648.0f);
    }
    return x;
}

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static double phi(double x)
{
    return erfc(-x / M_SQRT2) / 2;
}

static double gelu(double x)
{
    return x * phi(x);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

/* Fails where y is further than that from what is right. An assertion that holds takes a microsecond, and these are a
 * million. */
static void check_near(const char *of, float x, float y, double right, double tolerance)
{
    if (!(fabs(y - right) <= tolerance))
        ck_abort_msg("%s of %.9g is %.9g, not %.9g: off by %.3g, relatively %.3g", of, (double)x, (double)y, right,
                     fabs(y - right), fabs(y - right) / fabs(right));
}

static void check_relative(const char *of, float x, float y, double right, double tolerance)
{
    check_near(of, x, y, right, tolerance * fabs(right));
}

START_TEST(powers_of_two_are_accurate)
{
    const struct attn_kernels *kernels = variants[_i];
    float x[CHUNK], y[CHUNK];
    for (float from = 0.0f; from > -100.0f; from -= CHUNK * 0.00073f) {
        double sum = 0;
        for (size_t i = 0; i < CHUNK; i++)
            x[i] = fmaxf(from - 0.00073f * (float)i, -100.0f);
        float total = kernels->weights(CHUNK, y, 0.0f, x);
        for (size_t i = 0; i < CHUNK; i++) {
            check_relative("2^x", x[i], y[i], exp2((double)x[i]), 1.0e-7);
            sum += y[i];
        }
        check_relative("the sum of weights", from, total, sum, 3e-7);
    }
}
END_TEST

START_TEST(powers_of_integers_are_exact_and_small_ones_are_0)
{
    const struct attn_kernels *kernels = variants[_i];
    float x[] = {-100.00001f, -126.5f, -127.0f, -128.0f, -1e6f, -0x1p22f, -0x1p23f, -1e30f, -FLT_MAX}, y[1];
    for (int e = 0; e >= -100; e--) {
        float integer = (float)e;
        kernels->weights(1, y, 0.0f, &integer);
        ck_assert_msg(y[0] == ldexpf(1.0f, e), "2^%d is %g", e, (double)y[0]);
    }
    for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++)
        ck_assert_msg(kernels->weights(1, y, 0.0f, x + i) == 0.0f && y[0] == 0.0f, "2^%g is %g", (double)x[i],
                      (double)y[0]);
}
END_TEST

/* Beside a largest of 0, every element is e^x over the sum. */
START_TEST(softmax_is_accurate)
{
    const struct attn_kernels *kernels = variants[_i];
    float x[CHUNK], y[CHUNK];
    for (float from = 0.0f; from > -87.0f; from -= CHUNK * 0.00071f) {
        double sum = 0;
        for (size_t i = 0; i < CHUNK; i++) {
            x[i] = i == 0 ? 0.0f : fmaxf(from - 0.00071f * (float)i, -87.2f);
            sum += exp((double)x[i]);
        }
        memcpy(y, x, sizeof(x));
        kernels->softmax(CHUNK, y);
        if (from > -55.0f) /* no quotient is denormal */
            for (size_t i = 0; i < CHUNK; i++)
                check_relative("softmax", x[i], y[i], exp((double)x[i]) / sum, 3.5e-7);
    }
}
END_TEST

/* Each is below half of the last bit of the largest. */
START_TEST(thousands_of_small_weights_count)
{
    enum { N = 20000 };
    static float x[N];
    for (size_t i = 0; i < N; i++)
        x[i] = i == N / 3 ? 0.0f : -25.0f;
    float sum = variants[_i]->weights(N, x, 0.0f, x);
    check_relative("the sum of weights", 0.0f, sum, 1 + (N - 1) * 0x1p-25, 1e-7);
}
END_TEST

START_TEST(softmax_of_large_numbers_does_not_overflow)
{
    const struct attn_kernels *kernels = variants[_i];
    float x[] = {FLT_MAX, -FLT_MAX, FLT_MAX, 0.0f, 1e30f}, y[] = {-FLT_MAX, -FLT_MAX}, z[] = {FLT_MAX};
    float w[] = {0x1p100f, -0x1p100f, 0x1p100f};
    kernels->softmax(5, x);
    ck_assert(x[0] == 0.5f && x[1] == 0.0f && x[2] == 0.5f && x[3] == 0.0f && x[4] == 0.0f);
    kernels->softmax(2, y);
    ck_assert(y[0] == 0.5f && y[1] == 0.5f);
    kernels->softmax(1, z);
    ck_assert(z[0] == 1.0f);
    kernels->softmax2(1, 3, w);
    ck_assert(w[0] == 0.5f && w[1] == 0.0f && w[2] == 0.5f);
}
END_TEST

START_TEST(sigmoid_is_accurate)
{
    const struct attn_kernels *kernels = variants[_i];
    float x[CHUNK], y[CHUNK];
    for (float from = -87.2f; from < 90.0f; from += CHUNK * 0.00077f) {
        for (size_t i = 0; i < CHUNK; i++)
            y[i] = x[i] = from + 0.00077f * (float)i;
        kernels->sigmoid(CHUNK, y);
        for (size_t i = 0; i < CHUNK; i++)
            check_relative("sigmoid", x[i], y[i], sigmoid((double)x[i]), 2e-7);
    }
    float ends[] = {-FLT_MAX, -1e30f, -88.0f, 0.0f, -0.0f, FLT_TRUE_MIN, 100.0f, 1e30f, FLT_MAX};
    const float right[] = {0.0f, 0.0f, 0.0f, 0.5f, 0.5f, 0.5f, 1.0f, 1.0f, 1.0f};
    kernels->sigmoid(9, ends);
    for (size_t i = 0; i < 9; i++)
        ck_assert_msg(ends[i] == right[i], "%zu: %g", i, (double)ends[i]);
}
END_TEST

/* Absolute and relative to x everywhere; relative to the value down to −3, where it is −0.004. */
START_TEST(gelu_is_accurate)
{
    const struct attn_kernels *kernels = variants[_i];
    float x[CHUNK], y[CHUNK];
    for (float from = -13.0f; from < 13.0f; from += CHUNK * 0.000071f) {
        for (size_t i = 0; i < CHUNK; i++)
            y[i] = x[i] = from + 0.000071f * (float)i;
        kernels->gelu(CHUNK, y);
        for (size_t i = 0; i < CHUNK; i++) {
            double right = gelu((double)x[i]);
            double near = x[i] > 0.0f ? 2e-7 * right : x[i] > -3.0f ? 5e-8 : 7e-9;
            check_near("gelu", x[i], y[i], right, near);
            if (x[i] > -3.0f)
                check_relative("gelu", x[i], y[i], right, x[i] > -1.0f ? 3e-7 : 1.6e-6);
        }
    }
}
END_TEST

START_TEST(gelu_ends_in_0_and_x)
{
    const struct attn_kernels *kernels = variants[_i];
    const float large[] = {5.6f, 8.0f, 11.0f, 12.0f, 13.0f, 30.0f, 1e3f, 1e10f, 1e30f, FLT_MAX};
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        float y[] = {large[i], -large[i]};
        kernels->gelu(2, y);
        ck_assert_msg(y[0] == large[i], "gelu of %g is %.9g", (double)large[i], (double)y[0]);
        ck_assert_msg(y[1] <= 0.0f && y[1] >= -7e-8f, "gelu of %g is %g", (double)-large[i], (double)y[1]);
        ck_assert(large[i] < 12.0f || y[1] == 0.0f);
    }
    float small[] = {0.0f, -0.0f, FLT_MIN, -FLT_MIN, FLT_TRUE_MIN, -FLT_TRUE_MIN, 1e-20f, -1e-20f};
    const float right[] = {0.0f, 0.0f, 0.5f * FLT_MIN, -0.5f * FLT_MIN, 0.0f, 0.0f, 5e-21f, -5e-21f};
    kernels->gelu(8, small);
    for (size_t i = 0; i < 8; i++)
        ck_assert_msg(fabsf(small[i] - right[i]) <= fmaxf(FLT_TRUE_MIN, 1e-7f * fabsf(right[i])), "%zu: %g", i,
                      (double)small[i]);
}
END_TEST

/* From its minimum on down gelu rises towards 0, but for the last bits. */
START_TEST(tail_of_gelu_is_smooth)
{
    const struct attn_kernels *kernels = variants[_i];
    float before = -0.1663f;
    for (float from = -0.9f; from > -13.0f; from -= 0.003f) {
        float y = from;
        kernels->gelu(1, &y);
        ck_assert_msg(y >= before, "gelu of %g is %.9g, after %.9g", (double)from, (double)y, (double)before);
        before = y;
    }
    ck_assert(before == 0.0f);
}
END_TEST

START_TEST(relu_keeps_what_is_above_0)
{
    float x[] = {-FLT_MAX, -1.0f, -0.0f, 0.0f, FLT_TRUE_MIN, 1.0f, FLT_MAX};
    variants[_i]->relu(7, x);
    ck_assert(x[0] == 0.0f && x[1] == 0.0f && x[2] == 0.0f && x[3] == 0.0f && x[5] == 1.0f && x[6] == FLT_MAX);
    ck_assert(x[4] == FLT_TRUE_MIN);
}
END_TEST

/* y[MOST] where the n from the given place on are what each of x alone becomes, and the others are as they were */
static void check_elements(const char *name, const float *y, const float *x, const float *alone, size_t from, size_t n)
{
    for (size_t i = 0; i < MOST; i++) {
        bool changed = i >= from && i < from + n;
        if (!same_bits(y[i], changed ? alone[i] : x[i]))
            ck_abort_msg("%s of %zu elements from %zu on: %.9g at %zu", name, n, from, (double)y[i], i);
    }
}

/* The last elements before a wall, and the first elements. */
static void check_function(const char *name, void (*of)(size_t n, float *x), double (*right)(double x))
{
    float *x = noise_at(wall(), MOST, 6.0f, 1), *y = wall() - MOST, alone[MOST];
    for (size_t i = 0; i < MOST; i++) {
        alone[i] = x[i];
        of(1, alone + i);
        check_near(name, x[i], alone[i], right((double)x[i]), 1e-6);
    }
    for (size_t n = 0; n <= MOST; n++) {
        memcpy(y, x, sizeof(alone));
        of(n, y + MOST - n);
        check_elements(name, y, x, alone, MOST - n, n);
        memcpy(y, x, sizeof(alone));
        of(n, y);
        check_elements(name, y, x, alone, 0, n);
    }
}

START_TEST(elements_do_not_depend_on_their_place)
{
    const struct attn_kernels *kernels = variants[_i];
    check_function("gelu", kernels->gelu, gelu);
    check_function("relu", kernels->relu, relu);
    check_function("sigmoid", kernels->sigmoid, sigmoid);
}
END_TEST

START_TEST(maximum_is_found_everywhere)
{
    const struct attn_kernels *kernels = variants[_i];
    float *end = wall();
    for (size_t n = 1; n <= MOST; n++)
        for (size_t at = 0; at < n; at++) {
            float *x = end - n;
            for (size_t i = 0; i < n; i++)
                x[i] = i == at ? -2.0f : -FLT_MAX + (float)i;
            ck_assert_msg(kernels->max(n, x) == -2.0f, "the maximum at %zu of %zu", at, n);
        }
}
END_TEST

START_TEST(weights_and_softmax_are_right_at_every_length)
{
    const struct attn_kernels *kernels = variants[_i];
    float *end = wall(), *other = wall();
    for (size_t n = 1; n <= MOST; n++) {
        float *x = noise_at(end, n, 20.0f, (uint32_t)n), *y = other - n;
        double two = 0, e = 0;
        for (size_t i = 0; i < n; i++) {
            two += exp2((double)x[i]);
            e += exp((double)x[i]);
        }
        other[-(ptrdiff_t)n - 1] = CANARY;
        check_relative("weights", (float)n, kernels->weights(n, y, 20.0f, x), two * 0x1p-20, 3e-7);
        for (size_t i = 0; i < n; i++)
            check_relative("weights", x[i], y[i], exp2((double)(x[i] - 20.0f)), 1.0e-7);
        memcpy(y, x, n * sizeof(float));
        kernels->softmax2(1, n, y);
        for (size_t i = 0; i < n; i++)
            check_near("softmax2", x[i], y[i], exp2((double)x[i]) / two, 2e-7);
        memcpy(y, x, n * sizeof(float));
        kernels->softmax(n, y);
        for (size_t i = 0; i < n; i++)
            check_near("softmax", x[i], y[i], exp((double)x[i]) / e, 2e-7);
        ck_assert(other[-(ptrdiff_t)n - 1] == CANARY);
    }
}
END_TEST

START_TEST(rows_are_softened_each_alone)
{
    enum { ROWS = 3 };
    const struct attn_kernels *kernels = variants[_i];
    float *end = wall(), alone[ROWS * MOST];
    for (size_t n = 1; n <= MOST; n++) {
        float *x = noise_at(end, ROWS * n, 20.0f, (uint32_t)n);
        memcpy(alone, x, ROWS * n * sizeof(float));
        for (size_t r = 0; r < ROWS; r++)
            kernels->softmax2(1, n, alone + r * n);
        kernels->softmax2(ROWS, n, x);
        ck_assert_msg(memcmp(x, alone, ROWS * n * sizeof(float)) == 0, "rows of %zu", n);
    }
}
END_TEST

/* Against sums in double; what is not finite in float is in double. */
static double norm_error(size_t n, const float *y, const float *x, const float *weight, const float *bias)
{
    double mean = 0, variance = 0, worst = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double right = (x[i] - mean) / sqrt(variance + 1e-5);
        double error = fabs(y[i] - (right * weight[i] + bias[i])) / (1 + fabs(right) + fabs(bias[i]));
        worst = error > worst || isnan(error) ? error : worst;
    }
    return worst;
}

START_TEST(norm_is_right_at_every_length_and_size)
{
    const struct attn_kernels *kernels = variants[_i];
    const float sizes[] = {1e-40f, 1e-20f, 1e-3f, 1.0f, 100.0f, 1e10f, 1e19f, 1e30f, FLT_MAX};
    const float offsets[] = {0.0f, 0.0f, 1.0f, 1e6f, 1e6f, 1e12f, 1e20f, -1e30f, 0.0f};
    float *end = wall(), *to = wall(), *weight = wall(), *bias = wall();
    for (size_t n = 1; n <= MOST; n++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            float *x = noise_at(end, n, sizes[s], (uint32_t)(n + s)), *y = to - n;
            float *w = noise_at(weight, n, 1.0f, 3), *b = noise_at(bias, n, 1.0f, 4);
            for (size_t i = 0; i < n; i++)
                x[i] += offsets[s];
            kernels->norm(n, y, x, w, b);
            double error = norm_error(n, y, x, w, b);
            ck_assert_msg(error < 3e-7, "%zu floats of %g around %g: off by %g", n, (double)sizes[s],
                          (double)offsets[s], error);
            ck_assert(y[-1] == CANARY);
            kernels->norm(n, x, x, w, b);
            ck_assert(memcmp(x, y, n * sizeof(float)) == 0);
            for (size_t i = 0; i < n; i++)
                y[i] = CANARY;
        }
}
END_TEST

START_TEST(norm_of_the_largest_floats_is_right)
{
    const struct attn_kernels *kernels = variants[_i];
    float x[MOST], y[MOST], one[MOST], none[MOST] = {0};
    for (size_t i = 0; i < MOST; i++) {
        x[i] = i % 2 == 0 ? FLT_MAX : -FLT_MAX;
        one[i] = 1.0f;
    }
    kernels->norm(MOST, y, x, one, none);
    for (size_t i = 0; i < MOST; i++)
        ck_assert_msg(fabsf(y[i] - (i % 2 == 0 ? 1.0f : -1.0f)) < 3e-7f, "%zu: %g", i, (double)y[i]);
    x[0] = 0.0f;
    kernels->norm(MOST, y, x, one, none);
    ck_assert(norm_error(MOST, y, x, one, none) < 3e-7);
}
END_TEST

START_TEST(norm_of_one_value_is_the_bias)
{
    const struct attn_kernels *kernels = variants[_i];
    const float values[] = {0.0f, 0.1f, -3.0f, 1e6f, 16777217.0f, 1e30f, -FLT_MAX, FLT_TRUE_MIN};
    float x[MOST], y[MOST], one[MOST], bias[MOST];
    for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
        for (size_t n = 1; n <= MOST; n++) {
            for (size_t i = 0; i < n; i++) {
                x[i] = values[v];
                one[i] = 1.0f;
                bias[i] = (float)i;
            }
            kernels->norm(n, y, x, one, bias);
            for (size_t i = 0; i < n; i++)
                ck_assert_msg(y[i] == bias[i], "%zu of %zu times %g: %g", i, n, (double)values[v], (double)y[i]);
        }
}
END_TEST

/* Two floats beside each other near 10^6 are as far from the mean as any two others. */
START_TEST(norm_sees_the_last_bit)
{
    const struct attn_kernels *kernels = variants[_i];
    float x[MOST], y[MOST], one[MOST], none[MOST] = {0};
    for (size_t i = 0; i < MOST; i++) {
        x[i] = i % 2 == 0 ? 1e6f : 1e6f + 0.0625f;
        one[i] = 1.0f;
    }
    kernels->norm(MOST, y, x, one, none);
    double right = 0.03125 / sqrt(0.03125 * 0.03125 + 1e-5);
    for (size_t i = 0; i < MOST; i++)
        ck_assert(fabs(y[i] - (i % 2 == 0 ? -right : right)) < 2e-7);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("functions");
    TCase *cases = tcase_create("functions");
    find_variants();
    tcase_add_loop_test(cases, powers_of_two_are_accurate, 0, n_variants);
    tcase_add_loop_test(cases, powers_of_integers_are_exact_and_small_ones_are_0, 0, n_variants);
    tcase_add_loop_test(cases, softmax_is_accurate, 0, n_variants);
    tcase_add_loop_test(cases, thousands_of_small_weights_count, 0, n_variants);
    tcase_add_loop_test(cases, softmax_of_large_numbers_does_not_overflow, 0, n_variants);
    tcase_add_loop_test(cases, sigmoid_is_accurate, 0, n_variants);
    tcase_add_loop_test(cases, gelu_is_accurate, 0, n_variants);
    tcase_add_loop_test(cases, gelu_ends_in_0_and_x, 0, n_variants);
    tcase_add_loop_test(cases, tail_of_gelu_is_smooth, 0, n_variants);
    tcase_add_loop_test(cases, relu_keeps_what_is_above_0, 0, n_variants);
    tcase_add_loop_test(cases, elements_do_not_depend_on_their_place, 0, n_variants);
    tcase_add_loop_test(cases, maximum_is_found_everywhere, 0, n_variants);
    tcase_add_loop_test(cases, weights_and_softmax_are_right_at_every_length, 0, n_variants);
    tcase_add_loop_test(cases, rows_are_softened_each_alone, 0, n_variants);
    tcase_add_loop_test(cases, norm_is_right_at_every_length_and_size, 0, n_variants);
    tcase_add_loop_test(cases, norm_of_the_largest_floats_is_right, 0, n_variants);
    tcase_add_loop_test(cases, norm_of_one_value_is_the_bias, 0, n_variants);
    tcase_add_loop_test(cases, norm_sees_the_last_bit, 0, n_variants);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
