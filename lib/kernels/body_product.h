/* SPDX-License-Identifier: MIT */
/* C[M×N] = a · A[M×K] · B[K×N], and Y[M×n_out] = X[M×n_in] · Wᵀ + b with W in panels */
#pragma once

#include <string.h>

#include "body_tile.h"

enum { MOST_PANELS = 8 };

/* How many panels a tile of so many rows has at most. */
#define PANELS(rows) (SUMS / (rows) / PER_PANEL < MOST_PANELS ? SUMS / (rows) / PER_PANEL : MOST_PANELS)

/* rows × panels; rows may also stand beside tiles of one row more, which have PANELS(rows + 1). No panels: the columns
 * of one vector, or less. */
INLINE void tile_of_rows(const size_t rows, size_t panels, const struct operands *in, const struct results *to)
{
    if (PER_PANEL > 1 && panels == 0 && to->n_columns == WIDTH)
        tile(rows, 1, in, to, true);
    else if (panels == 0)
        tile(rows, 1, in, to, false);
    else if (panels == PANELS(rows))
        tile(rows, PANELS(rows) * PER_PANEL, in, to, true);
    else if (panels == PANELS(rows + 1))
        tile(rows, PANELS(rows + 1) * PER_PANEL, in, to, true);
    else if (panels == 4 && PANELS(rows) > 4)
        tile(rows, 4 * PER_PANEL, in, to, true);
    else if (panels == 2 && PANELS(rows) > 2)
        tile(rows, 2 * PER_PANEL, in, to, true);
    else
        tile(rows, PER_PANEL, in, to, true);
}

static void tile_of(size_t rows, size_t panels, const struct operands *in, const struct results *to)
{
#define CASE(r)                                                                                                        \
    case r:                                                                                                            \
        if (r <= MOST_ROWS_OF_PANEL)                                                                                   \
            tile_of_rows(r, panels, in, to);                                                                           \
        return;
    switch (rows) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
        CASE(7)
        CASE(8)
        CASE(9)
        CASE(10)
        CASE(11)
        CASE(12)
        CASE(13)
        CASE(14)
        CASE(15)
        CASE(16)
    }
#undef CASE
}

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
    size_t most = PANELS(next_rows(m, MOST_ROWS));
    if (left >= most)
        return most;
    return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* M rows over the same panels; in and to are those of the first row. */
INLINE void tiles_of_panels(size_t m, size_t panels, struct operands *in, struct results *to)
{
    size_t most = panels < 2 ? MOST_ROWS_OF_PANEL : MOST_ROWS;
    while (m > 0) {
        size_t rows = next_rows(m, most);
        tile_of(rows, panels, in, to);
        in->left += rows * in->left_stride;
        to->y += rows * to->stride;
        to->shift += to->shift != NULL ? rows * to->stride : 0;
        m -= rows;
    }
}

/* C[M×N] = A[M×K] · B[K×N] as `to` says, a few panels or less than one at a time. */
static void product_columns(size_t m, size_t k, size_t n, const float *left, const float *right, struct results to)
{
    static const float zeros[MOST_PANELS * ATTN_PANEL];
    to.bias = zeros;
    to.stride = n;
    if (m == 0)
        return;
    for (size_t j = 0; j < n;) {
        size_t panels = next_panels(m, (n - j) / ATTN_PANEL);
        struct operands in = {k, left, k, right + j, n, ATTN_PANEL};
        struct results part = to;
        part.y += j;
        part.shift += to.shift != NULL ? j : 0;
        part.n_columns = panels > 0 ? panels * ATTN_PANEL : n - j < WIDTH ? n - j : WIDTH;
        j += part.n_columns;
        tiles_of_panels(m, panels, &in, &part);
    }
}

static void product(size_t m, size_t k, size_t n, float *c, float a, const float *left, const float *right)
{
    product_columns(m, k, n, left, right, (struct results){.y = c, .a = a});
}

static void product_shifted(size_t m, size_t n, float *c, float a, const float *left, const float *right, float b)
{
    product_columns(m, n, n, left, right, (struct results){.y = c, .shift = left, .b = b, .a = a});
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
        tile_of(rows, panels, &in, &to);
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
