/* SPDX-License-Identifier: MIT */
/* Products of a matrix of rows and one vector. */
#pragma once

/* rows that are summed before their sum joins the total, which keeps the error of a window of thousands near that of
 * one of tens */
enum { BLOCK = 64 };

static void logits(size_t n_rows, size_t d, float *to, const float *rows, const float *x)
{
    for (size_t r = 0; r < n_rows; r++, rows += d) {
        vec sum = vec_set(0.0f);
        size_t i = 0;
        for (; i + WIDTH <= d; i += WIDTH)
            sum = vec_fma(vec_load(rows + i), vec_load(x + i), sum);
        if (i < d)
            sum = vec_fma(vec_load_part(rows + i, d - i), vec_load_part(x + i, d - i), sum);
        to[r] = vec_sum(sum);
    }
    clamp(n_rows, to);
}

/* w[R] · the first n columns of rows[R×d], n ≤ WIDTH */
static inline vec combine_columns(size_t n_rows, size_t d, const float *w, const float *rows, size_t n)
{
    vec total = vec_set(0.0f);
    for (size_t first = 0; first < n_rows; first += BLOCK) {
        size_t end = n_rows - first < BLOCK ? n_rows : first + BLOCK;
        vec sum = vec_set(0.0f);
        for (size_t r = first; r < end; r++)
            sum = vec_fma(vec_set(w[r]), n == WIDTH ? vec_load(rows + r * d) : vec_load_part(rows + r * d, n), sum);
        total += sum;
    }
    return total;
}

static void combine(size_t n_rows, size_t d, float *y, float a, const float *y0, const float *w, const float *rows)
{
    size_t i = 0;
    for (; i + WIDTH <= d; i += WIDTH) {
        vec sum = combine_columns(n_rows, d, w, rows + i, WIDTH);
        vec_store(y + i, a == 0.0f ? sum : vec_fma(vec_set(a), vec_load(y0 + i), sum));
    }
    if (i < d) {
        vec sum = combine_columns(n_rows, d, w, rows + i, d - i);
        vec_store_part(y + i, a == 0.0f ? sum : vec_fma(vec_set(a), vec_load_part(y0 + i, d - i), sum), d - i);
    }
}
