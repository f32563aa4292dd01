/* SPDX-License-Identifier: MIT */
/* Y[M×n_out] = X[M×n_in] · Wᵀ + b with W in panels */
#pragma once

#include "body_tile.h"

/* rows × panels outputs, of which the first n_columns are written */
INLINE void packed_tile(const size_t rows, const size_t panels, const struct operands *in, float *y, size_t y_stride,
                        const float *bias, size_t n_columns)
{
    const size_t vectors = panels * PER_PANEL;
    vec sum[SUMS];
    UNROLL for (size_t i = 0; i < rows; i++) UNROLL for (size_t v = 0; v < vectors; v++) sum[i * vectors + v] =
        vec_load(bias + v * WIDTH);
    tile(rows, vectors, sum, in);
    UNROLL for (size_t i = 0; i < rows; i++)
    {
        UNROLL for (size_t v = 0; v < vectors; v++)
        {
            if ((v + 1) * WIDTH <= n_columns)
                vec_store(y + i * y_stride + v * WIDTH, sum[i * vectors + v]);
            else if (v * WIDTH < n_columns)
                vec_store_part(y + i * y_stride + v * WIDTH, sum[i * vectors + v], n_columns - v * WIDTH);
        }
    }
}

/* How many panels a tile of so many rows has. */
#define PANELS(rows) (SUMS / (rows) / PER_PANEL < MOST_PANELS ? SUMS / (rows) / PER_PANEL : MOST_PANELS)

INLINE void packed_some(const size_t rows, size_t panels, const struct operands *in, float *y, size_t y_stride,
                        const float *bias, size_t n_columns)
{
    if (panels == PANELS(rows))
        packed_tile(rows, PANELS(rows), in, y, y_stride, bias, n_columns);
    else if (panels == PANELS(rows + 1))
        packed_tile(rows, PANELS(rows + 1), in, y, y_stride, bias, n_columns);
    else if (panels == 4 && PANELS(rows) > 4)
        packed_tile(rows, 4, in, y, y_stride, bias, n_columns);
    else if (panels == 2 && PANELS(rows) > 2)
        packed_tile(rows, 2, in, y, y_stride, bias, n_columns);
    else
        packed_tile(rows, 1, in, y, y_stride, bias, n_columns);
}

static void packed_rows(size_t rows, size_t panels, const struct operands *in, float *y, size_t y_stride,
                        const float *bias, size_t n_columns)
{
#define CASE(n)                                                                                                        \
    case n:                                                                                                            \
        if (n <= MOST_ROWS)                                                                                            \
            packed_some(n, panels, in, y, y_stride, bias, n_columns);                                                  \
        return;
    switch (rows) {
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
    }
#undef CASE
}

static void packed(size_t m, size_t n_in, size_t n_out, float *y, const float *x, const float *panels,
                   const float *bias)
{
    size_t n_tiles = (m + MOST_ROWS - 1) / MOST_ROWS, n_panels = (n_out + ATTN_PANEL - 1) / ATTN_PANEL;
    if (m == 0)
        return;
    size_t most = PANELS((m + n_tiles - 1) / n_tiles);
    for (size_t p = 0, count; p < n_panels; p += count) {
        size_t left = n_panels - p;
        count = left >= most ? most : left >= 4 && most > 4 ? 4 : left >= 2 && most > 2 ? 2 : 1;
        for (size_t t = 0, i = 0; t < n_tiles; t++) {
            size_t rows = (m - i + n_tiles - t - 1) / (n_tiles - t);
            struct operands in = {n_in,       x + i * n_in,     n_in, panels + p * n_in * ATTN_PANEL,
                                  ATTN_PANEL, n_in * ATTN_PANEL};
            packed_rows(rows, count, &in, y + i * n_out + p * ATTN_PANEL, n_out, bias + p * ATTN_PANEL,
                        n_out - p * ATTN_PANEL);
            i += rows;
        }
    }
}
