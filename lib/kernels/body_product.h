/* SPDX-License-Identifier: MIT */
/* C[M×N] = a · A[M×K] · B[K×N], and Y[M×n_out] = X[M×n_in] · Wᵀ + b with W in panels */
#pragma once

#include <string.h>

#include "body_tile.h"

enum {
    MOST_PANELS = 8,
    /* Rows of a panel at a time that divide it and fit the registers; 1 where more than that do not. */
    SQUARE_ROWS = SUMS / PER_PANEL >= 16  ? 16
                  : SUMS / PER_PANEL >= 4 ? 4
                                          : 1
};

/* A function for each tile of r rows and p panels whose sums the registers hold, since a compiler that sees several
 * tiles in one keeps their sums in memory; and for the one vector of columns, or less, that is no panel. */
#define FITS(r, p) ((r) <= MOST_ROWS_OF_PANEL && (r) * (p)*PER_PANEL <= SUMS)
#define TILE(r, p)                                                                                                     \
    static void tile_##r##_##p(const struct operands *in, const struct results *to)                                    \
    {                                                                                                                  \
        if (FITS(r, p))                                                                                                \
            tile(r, (p)*PER_PANEL, in, to, true);                                                                      \
    }
#define TILES(r)                                                                                                       \
    static void tile_##r##_0(const struct operands *in, const struct results *to)                                      \
    {                                                                                                                  \
        if (FITS(r, 1) && PER_PANEL > 1 && to->n_columns == WIDTH)                                                     \
            tile(r, 1, in, to, true);                                                                                  \
        else if (FITS(r, 1))                                                                                           \
            tile(r, 1, in, to, false);                                                                                 \
    }                                                                                                                  \
    TILE(r, 1) TILE(r, 2) TILE(r, 3) TILE(r, 4) TILE(r, 6) TILE(r, 8)

TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12)
TILES(13)
TILES(14)
TILES(15)
TILES(16)

typedef void tile_function(const struct operands *in, const struct results *to);

/* By rows, less one, and by panels: those numbers that next_panels gives. */
#define ROW(r)                                                                                                         \
    {                                                                                                                  \
        tile_##r##_0, tile_##r##_1, tile_##r##_2, tile_##r##_3, tile_##r##_4, NULL, tile_##r##_6, NULL, tile_##r##_8   \
    }
static tile_function *const tile_of[][MOST_PANELS + 1] = {
    ROW(1), ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7),  ROW(8),
    ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16),
};
#undef ROW
#undef TILES
#undef TILE
#undef FITS

/* How many rows the next tile has, where m rows are left: as many as the others, as far as can be. */
static inline size_t next_rows(size_t m, size_t most)
{
    if (m <= most) /* spares the divisions */
        return m;
    size_t n_tiles = (m + most - 1) / most;
    return (m + n_tiles - 1) / n_tiles;
}

/* How many panels the next tiles have, where so many are left. */
static inline size_t next_panels(size_t m, size_t left)
{
    if (left < 2)
        return left;
    size_t most = SUMS / PER_PANEL / next_rows(m, MOST_ROWS);
    most = most < left ? most : left;
    return most >= 8 ? 8 : most >= 6 ? 6 : most < 4 ? most : 4;
}

/* M rows over the same panels; in and to are those of the first row. */
INLINE void tiles_of_panels(size_t m, size_t panels, struct operands *in, struct results *to)
{
    size_t most = panels < 2 ? MOST_ROWS_OF_PANEL : MOST_ROWS;
    while (m > 0) {
        size_t rows = next_rows(m, most);
        tile_of[rows - 1][panels](in, to);
        in->left += rows * in->left_stride;
        to->y += rows * to->stride;
        to->shift = to->shift != NULL ? to->shift + rows * to->stride : NULL; /* to which not even 0 may be added */
        m -= rows;
    }
}

/* C[M×N] = A[M×K] · B[K×N] as `to` says, a few panels or less than one at a time; `in` and `to` are those of the first.
 * It is inlined so that they need not be copied: what has just been written in pieces is slow to read as a whole. */
INLINE void product_columns(size_t m, size_t n, struct operands in, struct results to)
{
    static const float zeros[MOST_PANELS * ATTN_PANEL];
    for (size_t j = 0; m > 0 && j < n;) {
        size_t panels = next_panels(m, (n - j) / ATTN_PANEL);
        size_t n_columns = panels > 0 ? panels * ATTN_PANEL : n - j < WIDTH ? n - j : WIDTH;
        struct operands of = {in.k, in.left, in.k, in.right + j, n, ATTN_PANEL};
        struct results part = {to.y + j, n, zeros, to.shift != NULL ? to.shift + j : NULL, to.b, to.a, n_columns};
        tiles_of_panels(m, panels, &of, &part);
        j += n_columns;
    }
}

/* Rows of a product of squares as large as a panel: what it says, with lengths and strides that the compiler knows. */
INLINE void square_rows(const size_t rows, const bool shifted, float *c, float a, const float *left, const float *right,
                        float b)
{
    vec sum[SUMS];
    EACH (i, rows * PER_PANEL)
        sum[i] = vec_set(0.0f);
    EACH (k, ATTN_PANEL) {
        vec held[PER_PANEL];
        EACH (v, PER_PANEL)
            held[v] = vec_keep(vec_load(right + k * ATTN_PANEL + v * WIDTH));
        EACH (i, rows) {
            vec factor = vec_set(left[i * ATTN_PANEL + k]);
            EACH (v, PER_PANEL)
                sum[i * PER_PANEL + v] = vec_fma(factor, held[v], sum[i * PER_PANEL + v]);
        }
    }
    EACH (i, rows * PER_PANEL) {
        if (shifted)
            sum[i] = vec_fma(vec_set(b), vec_load(left + i * WIDTH), sum[i]);
        vec_store(c + i * WIDTH, vec_set(a) * sum[i]);
    }
}

/* C[16×16] = a · A[16×16] · (B[16×16] + b · I): g(Γ) of sixteen landmarks is nothing else. */
INLINE void square(const bool shifted, float *c, float a, const float *left, const float *right, float b)
{
    for (size_t i = 0; i < ATTN_PANEL; i += SQUARE_ROWS)
        square_rows(SQUARE_ROWS, shifted, c + i * ATTN_PANEL, a, left + i * ATTN_PANEL, right, b);
}

static inline bool is_square(size_t m, size_t k, size_t n)
{
    return SQUARE_ROWS > 1 && m == ATTN_PANEL && k == ATTN_PANEL && n == ATTN_PANEL;
}

static void product(size_t m, size_t k, size_t n, float *c, float a, const float *left, const float *right)
{
    if (is_square(m, k, n))
        square(false, c, a, left, right, 0.0f);
    else
        product_columns(m, n, (struct operands){.k = k, .left = left, .right = right},
                        (struct results){.y = c, .a = a});
}

static void product_shifted(size_t m, size_t n, float *c, float a, const float *left, const float *right, float b)
{
    if (is_square(m, n, n))
        square(true, c, a, left, right, b);
    else
        product_columns(m, n, (struct operands){.k = n, .left = left, .right = right},
                        (struct results){.y = c, .shift = left, .b = b, .a = a});
}

/* The last panels where they are wider than what is left of y: each row's columns go there by way of a buffer. */
static void last_panels(size_t m, size_t panels, struct operands in, struct results to)
{
    float buffer[SUMS * WIDTH], *y = to.y;
    size_t most = panels < 2 ? MOST_ROWS_OF_PANEL : MOST_ROWS, stride = to.stride, n_columns = to.n_columns;
    to.y = buffer;
    to.stride = to.n_columns = panels * ATTN_PANEL;
    while (m > 0) {
        size_t rows = next_rows(m, most);
        tile_of[rows - 1][panels](&in, &to);
        for (size_t i = 0; i < rows; i++, y += stride)
            memcpy(y, buffer + i * to.stride, n_columns * sizeof(float));
        in.left += rows * in.left_stride;
        m -= rows;
    }
}

static void packed(size_t m, size_t n_in, size_t n_out, float *y, const float *x, const float *panels,
                   const float *bias)
{
    size_t n_panels = (n_out + ATTN_PANEL - 1) / ATTN_PANEL;
    if (m == 0)
        return;
    for (size_t p = 0; p < n_panels;) {
        size_t first = p * ATTN_PANEL, count = next_panels(m, n_panels - p), columns = count * ATTN_PANEL;
        struct operands in = {n_in, x, n_in, panels + first * n_in, ATTN_PANEL, n_in * ATTN_PANEL};
        struct results to = {.y = y + first,
                             .stride = n_out,
                             .bias = bias + first,
                             .a = 1.0f,
                             .n_columns = columns < n_out - first ? columns : n_out - first};
        if (to.n_columns == columns)
            tiles_of_panels(m, count, &in, &to);
        else
            last_panels(m, count, in, to);
        p += count;
    }
}
