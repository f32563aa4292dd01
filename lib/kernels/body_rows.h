/* SPDX-License-Identifier: MIT */
/* Products of a matrix of rows and one vector. */
#pragma once

#include "body_tile.h"

enum {
    ROWS_AT_ONCE = 4, /* so many logits are summed side by side: no addition waits for the one before */
    BLOCK = 64 /* rows that are summed before their sum joins the total, which keeps the error of a window of thousands
                  near that of one of tens */
};

/* sum[r] = rows[r] · x[d] in lanes, for ROWS_AT_ONCE rows of which there are n: the last one stands for those that are
 * not there. */
INLINE void dots(vec *sum, size_t d, const float *rows, size_t n, const float *x)
{
    const float *row[ROWS_AT_ONCE];
    EACH (r, ROWS_AT_ONCE) {
        row[r] = rows + (r < n ? r : n - 1) * d;
        sum[r] = vec_set(0.0f);
    }
    size_t i = 0;
    for (; i + WIDTH <= d; i += WIDTH) {
        vec factor = vec_load(x + i);
        EACH (r, ROWS_AT_ONCE)
            sum[r] = vec_fma(vec_load(row[r] + i), factor, sum[r]);
    }
    if (i < d) {
        vec factor = vec_load_part(x + i, d - i);
        EACH (r, ROWS_AT_ONCE)
            sum[r] = vec_fma(vec_load_part(row[r] + i, d - i), factor, sum[r]);
    }
}

/* WIDTH logits, or the n < WIDTH that are left. */
INLINE vec logits_block(const bool whole, size_t n, size_t d, const float *rows, const float *x)
{
    vec sum[WIDTH];
    EACH (g, WIDTH / ROWS_AT_ONCE) {
        const size_t first = g * ROWS_AT_ONCE;
        if (whole)
            dots(sum + first, d, rows + first * d, ROWS_AT_ONCE, x);
        else if (first < n)
            dots(sum + first, d, rows + first * d, n - first, x);
        else
            EACH (r, ROWS_AT_ONCE)
                sum[first + r] = vec_set(0.0f);
    }
    return within_limit(vec_sums(sum));
}

static void logits(size_t n_rows, size_t d, float *to, const float *rows, const float *x)
{
    for (; n_rows >= WIDTH; n_rows -= WIDTH, rows += WIDTH * d, to += WIDTH)
        vec_store(to, logits_block(true, WIDTH, d, rows, x));
    if (n_rows > 0)
        vec_store_part(to, logits_block(false, n_rows, d, rows, x), n_rows);
}

/* Some columns of a combination, of one block of rows: the last vector of them is whole or has n_last columns. */
struct columns {
    size_t n_rows, d;
    const float *w, *rows;
    size_t n_last;
};

INLINE vec load_column(const float *p, const bool whole, size_t n)
{
    return whole ? vec_load(p) : vec_load_part(p, n);
}

/* sum[vectors] += w · those columns of one row */
INLINE void combine_row(const size_t vectors, const bool whole, vec *sum, float w, const float *row, size_t n_last)
{
    vec weight = vec_set(w);
    EACH (v, vectors)
        sum[v] = vec_fma(weight, load_column(row + v * WIDTH, whole || v + 1 < vectors, n_last), sum[v]);
}

/* sum[vectors] = w[R] · those columns of rows[R×d]; narrow ones take several rows at a time, one in each chain. */
INLINE void combine_block(const size_t vectors, const bool whole, vec *sum, const struct columns *in)
{
    const size_t chains = vectors == 1 ? 8 : vectors == 2 ? 4 : vectors < 5 ? 2 : 1, d = in->d;
    const float *w = in->w, *row = in->rows, *end = w + in->n_rows;
    EACH (i, chains * vectors)
        sum[i] = vec_set(0.0f);
    for (; (size_t)(end - w) >= chains; w += chains, row += chains * d)
        EACH (c, chains)
            combine_row(vectors, whole, sum + c * vectors, w[c], row + c * d, in->n_last);
    EACH (c, chains - 1)
        if (w + c < end)
            combine_row(vectors, whole, sum + c * vectors, w[c], row + c * d, in->n_last);
    if (chains > 4)
        EACH (i, 4 * vectors)
            sum[i] += sum[i + 4 * vectors];
    if (chains > 2)
        EACH (i, 2 * vectors)
            sum[i] += sum[i + 2 * vectors];
    if (chains > 1)
        EACH (i, vectors)
            sum[i] += sum[i + vectors];
}

/* y[columns] = a · y0 + w[R] · those columns of rows[R×d] */
INLINE void combine_columns(const size_t vectors, const bool whole, const struct columns *in, float *y, float a,
                            const float *y0)
{
    vec sum[8];
    combine_block(vectors, whole, sum, in);
    EACH (v, vectors) {
        const bool all = whole || v + 1 < vectors;
        if (a != 0.0f)
            sum[v] = vec_fma(vec_set(a), load_column(y0 + v * WIDTH, all, in->n_last), sum[v]);
        if (all)
            vec_store(y + v * WIDTH, sum[v]);
        else
            vec_store_part(y + v * WIDTH, sum[v], in->n_last);
    }
}

/* The same of so many vectors, as many as there are functions for. */
static size_t combine_some(size_t vectors, struct columns *in, float *y, float a, const float *y0)
{
    bool whole = in->n_last == 0;
#define CASE(n)                                                                                                        \
    if (vectors >= n && (vectors > n || whole))                                                                        \
        return combine_columns(n, true, in, y, a, y0), n;                                                              \
    if (vectors == n)                                                                                                  \
        return combine_columns(n, false, in, y, a, y0), n;
    CASE(8)
    CASE(4)
    CASE(3)
    CASE(2)
    CASE(1)
#undef CASE
    return 0;
}

/* w[R] · rows[R×d] of one block where a row fits one vector */
static inline vec combination(size_t n_rows, size_t d, const float *w, const float *rows)
{
    struct columns in = {n_rows, d, w, rows, d};
    vec sum[8];
    if (d == WIDTH)
        combine_block(1, true, sum, &in);
    else
        combine_block(1, false, sum, &in);
    return sum[0];
}

static void combine(size_t n_rows, size_t d, float *y, float a, const float *y0, const float *w, const float *rows)
{
    if (d <= WIDTH && n_rows <= BLOCK) {
        vec sum = combination(n_rows, d, w, rows);
        store_first(y, a != 0.0f ? vec_fma(vec_set(a), load_first(y0, d), sum) : sum, d);
        return;
    }
    const size_t vectors = (d + WIDTH - 1) / WIDTH;
    size_t first = 0;
    if (y0 == NULL)
        y0 = y; /* not read, since a is 0; there is no arithmetic on a null pointer */
    do {
        struct columns in = {n_rows - first < BLOCK ? n_rows - first : BLOCK, d, w + first, rows + first * d,
                             d % WIDTH};
        for (size_t v = 0; v < vectors;) {
            size_t i = v * WIDTH;
            v += combine_some(vectors - v, &in, y + i, a, y0 + i);
            in.rows = rows + first * d + v * WIDTH;
        }
        a = 1.0f;
        y0 = y;
        first += BLOCK;
    } while (first < n_rows);
}
