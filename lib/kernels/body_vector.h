/* SPDX-License-Identifier: MIT */
/* Functions of single vectors. */
#pragma once

#include <math.h>

static void scale(size_t n, float *y, float a, const float *x)
{
    vec factor = vec_set(a);
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        vec_store(y + i, factor * vec_load(x + i));
    if (i < n)
        vec_store_part(y + i, factor * vec_load_part(x + i, n - i), n - i);
}

static void add(size_t n, float *y, const float *x)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        vec_store(y + i, vec_load(y + i) + vec_load(x + i));
    if (i < n)
        vec_store_part(y + i, vec_load_part(y + i, n - i) + vec_load_part(x + i, n - i), n - i);
}

static void blend(size_t n, float *z, float a, const float *x, float b, const float *y)
{
    vec p = vec_set(a), q = vec_set(b);
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        vec_store(z + i, vec_fma(p, vec_load(x + i), q * vec_load(y + i)));
    if (i < n)
        vec_store_part(z + i, vec_fma(p, vec_load_part(x + i, n - i), q * vec_load_part(y + i, n - i)), n - i);
}

/* 0 · x is 0 for what is finite and NaN for what is not, and so is the sum. */
static size_t first_not_finite(size_t n, const float *x)
{
    enum { CHUNK = 16 * WIDTH };
    vec zero = vec_set(0.0f);
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t end = n - first < CHUNK ? n : first + CHUNK, i = first;
        vec sum = zero, other = zero;
        for (; i + 2 * WIDTH <= end; i += 2 * WIDTH) {
            sum = vec_fma(zero, vec_load(x + i), sum);
            other = vec_fma(zero, vec_load(x + i + WIDTH), other);
        }
        for (; i < end; i += WIDTH)
            sum = vec_fma(zero, end - i < WIDTH ? vec_load_part(x + i, end - i) : vec_load(x + i), sum);
        if (vec_sum(sum + other) == 0.0f)
            continue;
        for (i = first; i < end; i++)
            if (!isfinite(x[i]))
                return i;
    }
    return n;
}

/* The maximum is the second of its operands where one is NaN. */
static inline vec within_limit(vec x)
{
    return vec_min(vec_max(x, vec_set(-ATTN_LOGIT_LIMIT)), vec_set(ATTN_LOGIT_LIMIT));
}

static void clamp(size_t n, float *x)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        vec_store(x + i, within_limit(vec_load(x + i)));
    if (i < n)
        vec_store_part(x + i, within_limit(vec_load_part(x + i, n - i)), n - i);
}
