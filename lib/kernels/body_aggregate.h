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

struct extension {
    size_t m, d;
    float *vectors;
    const float *rescale, *weight, *v;
    float *y;
    const float *b;
};

/* Row j of some columns, whose old values are given. */
INLINE vec extended(const struct extension *in, size_t j, vec old, vec value)
{
    return vec_fma(vec_set(in->rescale[j]), old, vec_set(in->weight[j]) * value);
}

/* Columns first … of all rows: so many vectors, or the n_last < WIDTH columns of one. */
INLINE void extend_columns(const size_t vectors, const struct extension *in, size_t first, size_t n_last)
{
    vec value[4], total[4];
    EACH (v, vectors) {
        value[v] = load_first(in->v + first + v * WIDTH, n_last);
        total[v] = vec_set(0.0f);
    }
    float *row = in->vectors + first;
    for (size_t j = 0; j < in->m; j++, row += in->d) {
        vec new[4];
        EACH (v, vectors) {
            new[v] = extended(in, j, load_first(row + v * WIDTH, n_last), value[v]);
            store_first(row + v * WIDTH, new[v], n_last);
        }
        if (in->b != NULL)
            EACH (v, vectors)
                total[v] = vec_fma(vec_set(in->b[j]), new[v], total[v]);
    }
    if (in->y != NULL)
        EACH (v, vectors)
            store_first(in->y + first + v * WIDTH, load_first(in->y + first + v * WIDTH, n_last) + total[v], n_last);
}

/* Rows shorter than a vector, four at a time: a row that is loaded as a vector reaches into the next ones, so the next
 * four are loaded before these are stored, or the processor would wait for the stores. */
static void extend_narrow(const struct extension *in)
{
    size_t d = in->d, m = in->m;
    vec value = vec_load_part(in->v, d), old[4], total[4];
    EACH (r, 4) {
        old[r] = r < m ? vec_load_part(in->vectors + r * d, d) : value;
        total[r] = vec_set(0.0f);
    }
    for (size_t j = 0; j < m; j += 4) {
        float *row = in->vectors + j * d;
        vec new[4];
        EACH (r, 4) {
            new[r] = extended(in, j + r < m ? j + r : j, old[r], value);
            if (j + 4 + r < m)
                old[r] = vec_load_part(row + (4 + r) * d, d);
        }
        EACH (r, 4) {
            if (j + r < m) {
                vec_store_part(row + r * d, new[r], d);
                if (in->b != NULL)
                    total[r] = vec_fma(vec_set(in->b[j + r]), new[r], total[r]);
            }
        }
    }
    if (in->y != NULL)
        vec_store_part(in->y, vec_load_part(in->y, d) + ((total[0] + total[1]) + (total[2] + total[3])), d);
}

static void extend(size_t m, size_t d, float *vectors, const float *rescale, const float *weight, const float *v,
                   float *y, const float *b)
{
    struct extension in = {m, d, vectors, rescale, weight, v, y, b};
    size_t i = 0;
    if (d < WIDTH) {
        extend_narrow(&in);
        return;
    }
    for (; i + 4 * WIDTH <= d; i += 4 * WIDTH)
        extend_columns(4, &in, i, WIDTH);
    for (; i + WIDTH <= d; i += WIDTH)
        extend_columns(1, &in, i, WIDTH);
    if (i < d)
        extend_columns(1, &in, i, d - i);
}
