/* SPDX-License-Identifier: MIT */
/* Aggregates: (offset, sum, vector) of sets of frames, base 2, with integer offsets (aggregate.h). */
#pragma once

#include "body_tile.h"

/* n ≤ WIDTH floats */
static inline vec load_first(const float *p, size_t n)
{
    return n == WIDTH ? vec_load(p) : vec_load_part(p, n);
}

static inline void store_first(float *p, vec x, size_t n)
{
    if (n == WIDTH)
        vec_store(p, x);
    else
        vec_store_part(p, x, n);
}

static void admit(size_t m, float *offset, float *sum, float *rescale, float *weight, const float *logit)
{
    for (size_t j = 0; j < m; j += WIDTH) {
        size_t n = m - j < WIDTH ? m - j : WIDTH;
        vec own = load_first(logit + j, n), old = load_first(offset + j, n);
        vec new = vec_max(old, vec_ceil(own));
        vec factor = exp2_integer(old - new), added = exp2_of(own - new);
        store_first(offset + j, new, n);
        store_first(sum + j, vec_fma(factor, load_first(sum + j, n), added), n);
        store_first(rescale + j, factor, n);
        store_first(weight + j, added, n);
    }
}
