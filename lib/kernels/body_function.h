/* SPDX-License-Identifier: MIT */
/*
 * Powers, and the functions of a layer's vectors. None of them calls the C library, so that their bits are a variant's
 * own; an element's bits do not depend on where in a vector it stands, and a sum's order depends on its length alone.
 *
 * The coefficients of each polynomial are those of the least maximum of an error that is said beside them, computed in
 * double by Remez' exchange; each was rounded to float from the constant term up, and the rest computed again.
 */
#pragma once

#include <math.h>
#include <string.h>

/* Below 2^this a weight counts as 0: beside a largest weight of at least ½ it is beyond float32 for any window, and no
 * product with a value becomes a slow denormal. */
#define EXP2_LEAST (-100.0f)

#define LOG2_E 1.44269504f

/* ln 2 in two parts, the first of 9 bits, so that its product with an exponent is exact with and without FMA. */
#define LN2_HIGH 0.693359375f
#define LN2_LOW  (-2.12194440e-4f)

/* Adding it rounds a float below 2^22 in size to the nearest integer, the lowest bits of the sum; taking it away again
 * leaves the integer. */
#define ROUNDER 0x1.8p23f

#define NORM_EPSILON 1e-5

/* 2^e for integers e ≤ 0, exactly; 0 below 2^−126 */
static inline vec exp2_integer(vec e)
{
    return vec_power(vec_max(e, vec_set(-127.0f)));
}

/* 2^f for |f| ≤ ½. The polynomial's relative error is below 5.3e-9, and it is exactly 1 at 0. */
static inline vec exp2_of_fraction(vec f)
{
    vec power = vec_set(1.58250230e-4f);
    power = vec_fma(power, f, vec_set(1.34177040e-3f));
    power = vec_fma(power, f, vec_set(9.61706508e-3f));
    power = vec_fma(power, f, vec_set(5.55027276e-2f));
    power = vec_fma(power, f, vec_set(2.40226552e-1f));
    power = vec_fma(power, f, vec_set(6.93147242e-1f));
    return vec_fma(power, f, vec_set(1.0f));
}

/* 2^x for x ≤ 0, relative error below 1.2e-7, exact for integers; 0 below EXP2_LEAST. */
static inline vec exp2_of(vec x)
{
    vec bounded = vec_max(x, vec_set(-127.0f)), rounder = vec_set(ROUNDER);
    vec e = bounded + rounder;
    vec power = vec_scaled(exp2_of_fraction(bounded - (e - rounder)), e);
    return vec_select(vec_less(x, vec_set(EXP2_LEAST)), vec_set(0.0f), power);
}

/* e^x for x ≤ 0, relative error below 2e-7; 0 below −87.3, where floats end but for denormals. */
static inline vec exp_of(vec x)
{
    vec bounded = vec_max(x, vec_set(-87.5f)), rounder = vec_set(ROUNDER);
    vec e = vec_fma(bounded, vec_set(LOG2_E), rounder);
    vec integer = e - rounder;
    vec rest = vec_fma(integer, vec_set(-LN2_LOW), vec_fma(integer, vec_set(-LN2_HIGH), bounded));
    vec power = vec_scaled(exp2_of_fraction(rest * vec_set(LOG2_E)), e);
    return vec_select(vec_less(x, vec_set(-87.3f)), vec_set(0.0f), power);
}

/* The first n < WIDTH floats at p, and the given one in the lanes beyond them. */
static inline vec load_padded(const float *p, size_t n, float beyond)
{
    static const float lanes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return vec_select(vec_less(vec_load(lanes), vec_set((float)n)), vec_load_part(p, n), vec_set(beyond));
}

/* The first n of WIDTH floats at p, all if there are as many. */
static inline vec load_at_most(const float *p, size_t n, float beyond)
{
    return n < WIDTH ? load_padded(p, n, beyond) : vec_load(p);
}

/* x ← of(x), element by element */
static inline __attribute__((always_inline)) void map(size_t n, float *x, vec (*of)(vec))
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        vec_store(x + i, of(vec_load(x + i)));
    if (i < n)
        vec_store_part(x + i, of(vec_load_part(x + i, n - i)), n - i);
}

static float max_of(size_t n, const float *x)
{
    vec most = vec_set(x[0]), other = most;
    size_t i = 0;
    for (; i + 2 * WIDTH <= n; i += 2 * WIDTH) {
        most = vec_max(vec_load(x + i), most);
        other = vec_max(vec_load(x + i + WIDTH), other);
    }
    for (; i + WIDTH <= n; i += WIDTH)
        most = vec_max(vec_load(x + i), most);
    if (i < n)
        other = vec_max(load_padded(x + i, n - i, x[0]), other);
    return vec_largest(vec_max(most, other));
}

/* y = of(x − from) for an exponential function, and Σ y; what is beyond the end counts as e^−∞. What each sum of four
 * vectors loses when it joins the whole is kept and given back with the next (Kahan, 1965), so that thousands of small
 * weights beside a large one count too. */
static inline __attribute__((always_inline)) float powers(size_t n, float *y, float from, const float *x,
                                                          vec (*of)(vec))
{
    vec sum = vec_set(0.0f), excess = sum, offset = vec_set(from);
    size_t i = 0;
    for (; i + 4 * WIDTH <= n; i += 4 * WIDTH) {
        vec part[4];
        for (size_t j = 0; j < 4; j++) {
            part[j] = of(vec_load(x + i + j * WIDTH) - offset);
            vec_store(y + i + j * WIDTH, part[j]);
        }
        vec added = ((part[0] + part[1]) + (part[2] + part[3])) - excess, total = sum + added;
        excess = (total - sum) - added;
        sum = total;
    }
    sum -= excess;
    for (; i + WIDTH <= n; i += WIDTH) {
        vec part = of(vec_load(x + i) - offset);
        vec_store(y + i, part);
        sum += part;
    }
    if (i < n) {
        vec part = of(load_padded(x + i, n - i, -INFINITY) - offset);
        vec_store_part(y + i, part, n - i);
        sum += part;
    }
    return vec_sum(sum);
}

static float weights(size_t n, float *to, float offset, const float *logits)
{
    return powers(n, to, offset, logits, exp2_of);
}

/* x = of(x − max x) / Σ of(x − max x) for an exponential function */
static inline __attribute__((always_inline)) void soften(size_t n, float *x, vec (*of)(vec))
{
    if (n > WIDTH) {
        float sum = powers(n, x, max_of(n, x), x, of);
        scale(n, x, 1.0f / sum, x);
        return;
    }
    vec own = load_at_most(x, n, -INFINITY);
    vec power = of(own - vec_set(vec_largest(own)));
    power = power * vec_set(1.0f / vec_sum(power));
    if (n == WIDTH)
        vec_store(x, power);
    else
        vec_store_part(x, power, n);
}

static void softmax2(size_t n_rows, size_t n, float *x)
{
    for (size_t r = 0; r < n_rows; r++)
        soften(n, x + r * n, exp2_of);
}

static void softmax(size_t n, float *x)
{
    soften(n, x, exp_of);
}

/* 1 / (1 + e^−x), and for x < 0 the same as e^x / (1 + e^x), so that nothing overflows. */
static inline vec sigmoid_of(vec x)
{
    vec one = vec_set(1.0f), power = exp_of(-vec_abs(x));
    return vec_select(vec_less(x, vec_set(0.0f)), power, one) / (one + power);
}

static void sigmoid(size_t n, float *x)
{
    map(n, x, sigmoid_of);
}

/* x · Φ(x) = max(x, 0) − |x| · Φ(−|x|), where nothing cancels for x < 0, and Φ(−t) = 2^q(t). The polynomial's constant
 * is exact; its error ε, which makes a relative error ε ln 2 of Φ(−t), is the least maximum of |ε| 10^(−0.77 max(t − 1,
 * 0)) on [0, 11.75]: of Φ(−t) below 4.5e-8 up to t = 1, 7.3e-7 up to 3 and 1.1e-2 up to 8. Beyond, it falls for ever
 * (its derivative has no positive zero); from 11.23 on Φ counts as 0, and no float overflows to NaN on the way. */
static inline vec gelu_of(vec x)
{
    vec t = vec_abs(x);
    vec q = vec_set(-1.49597685e-8f);
    q = vec_fma(q, t, vec_set(5.24673624e-7f));
    q = vec_fma(q, t, vec_set(-7.63916705e-6f));
    q = vec_fma(q, t, vec_set(5.86109018e-5f));
    q = vec_fma(q, t, vec_set(-2.23453433e-4f));
    q = vec_fma(q, t, vec_set(-1.06386695e-4f));
    q = vec_fma(q, t, vec_set(7.06555741e-3f));
    q = vec_fma(q, t, vec_set(-5.25144078e-2f));
    q = vec_fma(q, t, vec_set(-4.59199190e-1f));
    q = vec_fma(q, t, vec_set(-1.15110636f));
    q = vec_fma(q, t, vec_set(-1.0f));
    return vec_fma(t, -exp2_of(q), vec_max(x, vec_set(0.0f)));
}

static void gelu(size_t n, float *x)
{
    map(n, x, gelu_of);
}

static inline vec relu_of(vec x)
{
    return vec_max(x, vec_set(0.0f));
}

static void relu(size_t n, float *x)
{
    map(n, x, relu_of);
}

/* (x − centre) / 8: without overflow, whatever the two are, and exact where they are near each other. */
static inline vec eighth(vec x, vec eighth_of_centre)
{
    return vec_fma(x, vec_set(0.125f), -eighth_of_centre);
}

/* x^power for a power of 1 or 2; no square of a float overflows in double. */
static inline vec_wide power_of(vec_wide x, int power)
{
    if (power == 2)
        x *= x;
    return x;
}

static inline double sum_of_lanes(vec_wide x)
{
    double lanes[WIDTH / 2];
    memcpy(lanes, &x, sizeof(lanes));
    for (size_t half = WIDTH / 4; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

/* Σ ((x − centre) / 8)^power */
static inline __attribute__((always_inline)) double sum_of_powers(size_t n, const float *x, float centre, int power)
{
    vec c = vec_set(0.125f * centre);
    vec_wide low = {0}, high = {0};
    size_t i = 0;
    for (; i + 2 * WIDTH <= n; i += 2 * WIDTH) {
        vec a = eighth(vec_load(x + i), c), b = eighth(vec_load(x + i + WIDTH), c);
        low += power_of(vec_low(a), power) + power_of(vec_low(b), power);
        high += power_of(vec_high(a), power) + power_of(vec_high(b), power);
    }
    for (; i < n; i += WIDTH) {
        vec a = eighth(load_at_most(x + i, n - i, centre), c);
        low += power_of(vec_low(a), power);
        high += power_of(vec_high(a), power);
    }
    return sum_of_lanes(low + high);
}

/* What turns eighths into normalised floats: times high + low, plus the constant. */
struct normaliser {
    vec eighth_of_centre, high, low, constant;
};

static inline vec normalised(const struct normaliser *by, vec x)
{
    vec y = eighth(x, by->eighth_of_centre);
    return vec_fma(y, by->high, vec_fma(y, by->low, by->constant));
}

/* The mean is a float, the centre, and a rest, which with the factor's own rounding comes in at the end: the roundings
 * that are left are those of x − centre and of the result, for any finite x. */
static void norm(size_t n, float *y, const float *x, const float *weight, const float *bias)
{
    double mean = sum_of_powers(n, x, 0.0f, 1) / (double)n;
    float centre = (float)(8.0 * mean);
    double rest = mean - 0.125 * centre;
    double variance = 64.0 * (sum_of_powers(n, x, centre, 2) / (double)n - rest * rest);
    double factor = 8.0 / sqrt(variance + NORM_EPSILON);
    float high = (float)factor;
    struct normaliser by = {vec_set(0.125f * centre), vec_set(high), vec_set((float)(factor - high)),
                            vec_set((float)(-rest * factor))};
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        vec_store(y + i, vec_fma(normalised(&by, vec_load(x + i)), vec_load(weight + i), vec_load(bias + i)));
    if (i < n)
        vec_store_part(y + i,
                       vec_fma(normalised(&by, vec_load_part(x + i, n - i)), vec_load_part(weight + i, n - i),
                               vec_load_part(bias + i, n - i)),
                       n - i);
}
