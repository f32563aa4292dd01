/* SPDX-License-Identifier: MIT */
/* Functions of single vectors. */
#pragma once

#include <math.h>
#include <string.h>

/* Four floats of two vectors of four, of which the second's are 4 … 7. */
#ifdef __clang__
#define SHUFFLE_FOUR(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define SHUFFLE_FOUR(x, y, ...) __builtin_shuffle(x, y, (int __attribute__((vector_size(16)))){__VA_ARGS__})
#endif

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

typedef float four __attribute__((vector_size(16)));

/* The transpose of four floats of four rows each, times a. */
static inline void transpose_block(size_t m, size_t n, float *to, four a, const float *from)
{
    four row[4], half[4];
    for (size_t i = 0; i < 4; i++)
        memcpy(&row[i], from + i * n, sizeof(four));
    for (size_t i = 0; i < 2; i++) {
        half[2 * i] = SHUFFLE_FOUR(row[i], row[i + 2], 0, 4, 1, 5);
        half[2 * i + 1] = SHUFFLE_FOUR(row[i], row[i + 2], 2, 6, 3, 7);
    }
    for (size_t i = 0; i < 2; i++) {
        row[2 * i] = a * SHUFFLE_FOUR(half[i], half[i + 2], 0, 4, 1, 5);
        row[2 * i + 1] = a * SHUFFLE_FOUR(half[i], half[i + 2], 2, 6, 3, 7);
    }
    for (size_t i = 0; i < 4; i++)
        memcpy(to + i * m, &row[i], sizeof(four));
}

static void transpose(size_t m, size_t n, float *to, float a, const float *from)
{
    const four factor = {a, a, a, a};
    size_t m_whole = m / 4 * 4, n_whole = n / 4 * 4;
    for (size_t i = 0; i < m_whole; i += 4)
        for (size_t j = 0; j < n_whole; j += 4)
            transpose_block(m, n, to + j * m + i, factor, from + i * n + j);
    for (size_t i = 0; i < m; i++)
        for (size_t j = i < m_whole ? n_whole : 0; j < n; j++)
            to[j * m + i] = a * from[i * n + j];
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
