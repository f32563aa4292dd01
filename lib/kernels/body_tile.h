/* SPDX-License-Identifier: MIT */
/*
 * The heart of both matrix products: a tile of rows × vectors of sums, which stay in registers while k runs. Every sum
 * is over k = 0, 1, 2, … with one vec_fma each, whatever tile it is part of, so that tiles may be chosen for speed
 * alone.
 */
#pragma once

#define INLINE static inline __attribute__((always_inline))

/* For loops over registers: their bounds are constants once all is inlined. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum {
    PER_PANEL = ATTN_PANEL / WIDTH, /* vectors of a panel */
    SUMS = REGISTERS * 3 / 4,       /* of a tile; the other registers are for its operands */
    MOST_ROWS = SUMS / PER_PANEL < 12 ? SUMS / PER_PANEL : 12,
    MOST_PANELS = 8
};

/* What a tile is summed over: A row-major, B in panels, or as one matrix where the panels lie side by side. */
struct operands {
    size_t k;
    const float *left;
    size_t left_stride;
    const float *right;
    size_t right_stride, panel_stride;
};

/* sum[rows][vectors] += A[rows×K] · B[K × vectors·WIDTH]. The operands of which there are fewer are held, the others
 * pass by one at a time. */
INLINE void tile(const size_t rows, const size_t vectors, vec *sum, const struct operands *in)
{
    const float *left = in->left, *right = in->right;
    for (size_t k = 0; k < in->k; k++, left++, right += in->right_stride) {
        vec held[SUMS];
        if (rows < vectors) {
            UNROLL for (size_t i = 0; i < rows; i++) held[i] = vec_keep(vec_set(left[i * in->left_stride]));
            UNROLL for (size_t v = 0; v < vectors; v++)
            {
                vec b = vec_load(right + v / PER_PANEL * in->panel_stride + v % PER_PANEL * WIDTH);
                b = rows > 1 ? vec_keep(b) : b;
                UNROLL for (size_t i = 0; i < rows; i++) sum[i * vectors + v] =
                    vec_fma(held[i], b, sum[i * vectors + v]);
            }
        } else {
            UNROLL for (size_t v = 0; v < vectors; v++) held[v] =
                vec_keep(vec_load(right + v / PER_PANEL * in->panel_stride + v % PER_PANEL * WIDTH));
            UNROLL for (size_t i = 0; i < rows; i++)
            {
                vec a = vec_set(left[i * in->left_stride]);
                UNROLL for (size_t v = 0; v < vectors; v++) sum[i * vectors + v] =
                    vec_fma(a, held[v], sum[i * vectors + v]);
            }
        }
    }
}
