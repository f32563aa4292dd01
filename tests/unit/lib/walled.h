/* SPDX-License-Identifier: MIT */
/* What tests of kernels share: the variants of this machine, and arrays that end where memory ends. */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "../run.h"
#include "kernels/kernels.h"

enum {
    MOST_FLOATS = 1 << 18, /* of an array */
    N_ARRAYS = 12
};

#define CANARY 7.25f

static const struct attn_kernels *variants[4];
static int n_variants;

static inline void find_variants(void)
{
    for (enum attn_variant variant = ATTN_VARIANT_GENERIC; variant <= ATTN_VARIANT_NEON; variant++)
        if (attn_kernels_of(variant) != NULL)
            variants[n_variants++] = attn_kernels_of(variant);
}

/* Array number i, of n floats, at any alignment: what follows it cannot be touched, what stands before it is CANARY. */
static inline float *array(int i, size_t n)
{
    static float *ends[N_ARRAYS];
    ck_assert_uint_lt(n, MOST_FLOATS);
    if (ends[i] == NULL) {
        size_t bytes = MOST_FLOATS * sizeof(float), wall = 1 << 16;
        char *at = mmap(NULL, bytes + wall, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert(at != MAP_FAILED);
        ck_assert_int_eq(mprotect(at + bytes, wall, PROT_NONE), 0);
        ends[i] = (float *)(at + bytes);
    }
    float *x = ends[i] - n;
    x[-1] = CANARY;
    return x;
}

/* The same, with noise in ± size. */
static inline float *noise(int i, size_t n, float size)
{
    float *x = array(i, n);
    uint32_t state = (uint32_t)(n * 16 + (size_t)i) * 2654435761u + 1;
    for (size_t j = 0; j < n; j++) {
        state = state * 1664525u + 1013904223u;
        x[j] = size * ((float)(int32_t)state / 2147483648.0f);
    }
    return x;
}

/* An assertion that holds takes a microsecond, and these are millions. */
static inline void check_near(const char *what, size_t n, float y, double right, double tolerance)
{
    if (!(fabs(y - right) <= tolerance))
        ck_abort_msg("%s of %zu is %.9g, not %.9g: off by %.3g", what, n, (double)y, right, fabs(y - right));
}

static inline void check_bits(const char *what, size_t n, const float *x, const float *y, size_t n_floats)
{
    if (memcmp(x, y, n_floats * sizeof(float)) != 0)
        ck_abort_msg("%s of %zu has other bits", what, n);
}

static inline void check_canary(const float *x)
{
    if (x[-1] != CANARY)
        ck_abort_msg("something was written before an array");
}
