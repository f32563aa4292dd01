/* SPDX-License-Identifier: MIT */
/*
 * The heart of both matrix products: a tile of rows × vectors of sums, which stay in registers while k runs. Every sum
 * is over k = 0, 1, 2, … with one vec_fma each, whatever tile it is part of, so that tiles may be chosen for speed
 * alone.
 */
#pragma once

#include <stdbool.h>

#define INLINE static inline __attribute__((always_inline))

/* A loop over registers: its bound is a constant once all is inlined. With checks around each access, what is unrolled
 * takes minutes to compile. */
#ifdef __has_feature
#define CHECKS_ACCESSES __has_feature(address_sanitizer)
#elif defined __SANITIZE_ADDRESS__
#define CHECKS_ACCESSES 1
#else
#define CHECKS_ACCESSES 0
#endif
#if CHECKS_ACCESSES
#define EACH(i, n) for (size_t i = 0; i < (n); i++)
#elif defined __clang__
#define EACH(i, n) _Pragma("clang loop unroll(full)") for (size_t i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC unroll 32") for (size_t i = 0; i < (n); i++)
#endif

enum {
    PER_PANEL = ATTN_PANEL / WIDTH, /* vectors of a panel */
    SUMS = REGISTERS * 3 / 4,       /* of a tile; the other registers are for its operands */
    /* Rows of a tile: no more than pay, unless it is as narrow as one panel. */
    MOST_ROWS = SUMS / PER_PANEL < 12 ? SUMS / PER_PANEL : 12,
    MOST_ROWS_OF_PANEL = SUMS / PER_PANEL < 16 ? SUMS / PER_PANEL : 16
};

/* What is summed over: A row by row, B in panels, or as it is where the panels lie side by side. */
struct operands {
    size_t k;
    const float *left;
    size_t left_stride;
    const float *right;
    size_t right_stride, panel_stride;
};

/* Where it goes: y = a · (bias + the sums), or a · (bias + the sums + b · shift). */
struct results {
    float *y;
    size_t stride;
    const float *bias;  /* of each column */
    const float *shift; /* of each row and column, row by row as y, or NULL */
    float b;
    float a;
    size_t n_columns; /* of the tile */
};

/* Vector v of a row of B, which is whole or has n columns */
INLINE vec load_right(const struct operands *in, const float *row, size_t v, const bool whole, size_t n)
{
    const float *p = row + v / PER_PANEL * in->panel_stride + v % PER_PANEL * WIDTH;
    return whole ? vec_load(p) : vec_load_part(p, n);
}

/* sum[rows][vectors] += A[rows×K] · B[K × vectors·WIDTH]. Of the operands, those of which there are fewer are held and
 * the others pass by one at a time. */
INLINE void tile_sum(const size_t rows, const size_t vectors, vec *sum, const struct operands *in, const bool whole,
                     size_t n)
{
    const size_t stride = in->left_stride, n_bases = (rows + 3) / 4;
    const float *right = in->right, *bases[MOST_ROWS_OF_PANEL / 4 + 1]; /* one for four rows, to spare registers */
    EACH (g, n_bases)
        bases[g] = in->left + 4 * g * stride;
    for (size_t k = in->k; k > 0; k--, right += in->right_stride) {
        vec held[SUMS];
        if (rows < vectors) {
            EACH (i, rows)
                held[i] = vec_keep(vec_set(bases[i / 4][i % 4 * stride]));
            EACH (v, vectors) {
                vec b = load_right(in, right, v, whole, n);
                b = rows > 1 ? vec_keep(b) : b;
                EACH (i, rows)
                    sum[i * vectors + v] = vec_fma(held[i], b, sum[i * vectors + v]);
            }
        } else {
            EACH (v, vectors)
                held[v] = vec_keep(load_right(in, right, v, whole, n));
            EACH (i, rows) {
                vec a = vec_set(bases[i / 4][i % 4 * stride]);
                EACH (v, vectors)
                    sum[i * vectors + v] = vec_fma(a, held[v], sum[i * vectors + v]);
            }
        }
        EACH (g, n_bases)
            __asm__("" : "+r"(bases[g])); /* or the compiler would make one base of them again */
        EACH (g, n_bases)
            bases[g]++;
    }
}

/* One tile from its bias to where it goes: whole vectors, or the n_columns < WIDTH of one. */
INLINE void tile(const size_t rows, const size_t vectors, const struct operands *in, const struct results *to,
                 const bool whole)
{
    const struct results out = *to; /* which no store can change */
    vec sum[SUMS], a = vec_set(out.a);
    EACH (i, rows)
        EACH (v, vectors)
            sum[i * vectors + v] = vec_load(out.bias + v * WIDTH);
    tile_sum(rows, vectors, sum, in, whole, out.n_columns);
    if (out.shift != NULL)
        EACH (i, rows)
            EACH (v, vectors) {
                const float *p = out.shift + i * out.stride + v * WIDTH;
                vec shift = whole ? vec_load(p) : vec_load_part(p, out.n_columns);
                sum[i * vectors + v] = vec_fma(vec_set(out.b), shift, sum[i * vectors + v]);
            }
    EACH (i, rows) {
        EACH (v, vectors) {
            float *y = out.y + i * out.stride + v * WIDTH;
            if (whole)
                vec_store(y, a * sum[i * vectors + v]);
            else
                vec_store_part(y, a * sum[i * vectors + v], out.n_columns);
        }
    }
}
