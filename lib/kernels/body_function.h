/* SPDX-License-Identifier: MIT */
/* Powers of two, and the functions of a layer's vectors. */
#pragma once

#include <math.h>

/* Below 2^this a weight counts as 0: beside a largest weight of at least ½ it is beyond float32 for any window, and no
 * product with a value becomes a slow denormal. */
#define EXP2_LEAST (-100.0f)

/* 2^e for integers e ≤ 0, exactly; 0 below 2^−126 */
static inline vec exp2_integer(vec e)
{
    return vec_power(vec_max(e, vec_set(-127.0f)));
}

/* 2^x for x ≤ 0, relative error below 1.2e-7; 0 below EXP2_LEAST. x = e + f, |f| ≤ ½, and 2^f by its series: the term
 * after the last, (f ln 2)^8/8!, is at most 5.2e-9. The coefficients are (ln 2)^k/k!. */
static inline vec exp2_of(vec x)
{
    vec bounded = vec_max(x, vec_set(-127.0f));
    vec e = vec_round(bounded);
    vec f = bounded - e;
    vec power = vec_set(1.5252734e-5f);
    power = vec_fma(power, f, vec_set(1.5403530e-4f));
    power = vec_fma(power, f, vec_set(1.3333558e-3f));
    power = vec_fma(power, f, vec_set(9.6181291e-3f));
    power = vec_fma(power, f, vec_set(5.5504109e-2f));
    power = vec_fma(power, f, vec_set(2.4022651e-1f));
    power = vec_fma(power, f, vec_set(6.9314718e-1f));
    power = vec_fma(power, f, vec_set(1.0f));
    return vec_select(vec_less(x, vec_set(EXP2_LEAST)), vec_set(0.0f), power * vec_power(e));
}

static float max_of(size_t n, const float *x)
{
    vec most = vec_set(x[0]);
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        most = vec_max(vec_load(x + i), most);
    float largest = vec_largest(most);
    for (; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

static float weights(size_t n, float *to, float offset, const float *logits)
{
    vec sum = vec_set(0.0f), from = vec_set(offset);
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) {
        vec weight = exp2_of(vec_load(logits + i) - from);
        vec_store(to + i, weight);
        sum += weight;
    }
    if (i == n)
        return vec_sum(sum);
    float rest[WIDTH] = {0};
    vec_store_part(rest, exp2_of(vec_load_part(logits + i, n - i) - from), n - i);
    vec_store_part(to + i, vec_load(rest), n - i);
    return vec_sum(sum + vec_load(rest));
}

static void softmax2(size_t n, float *x)
{
    float sum = weights(n, x, max_of(n, x), x);
    scale(n, x, 1.0f / sum, x);
}

/* Sums in double, so that no square of a float overflows. */
static void norm(size_t n, float *y, const float *x, const float *weight, const float *bias)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean);
    double factor = 1 / sqrt(variance / (double)n + 1e-5);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((x[i] - mean) * factor) * weight[i] + bias[i];
}

static void gelu(size_t n, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1 + erff(x[i] * (float)M_SQRT1_2));
}

static void relu(size_t n, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

static void softmax(size_t n, float *x)
{
    float largest = max_of(n, x), sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - largest);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

static void sigmoid(size_t n, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 1 / (1 + expf(-x[i]));
}
