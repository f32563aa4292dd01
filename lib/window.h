/* SPDX-License-Identifier: MIT */
/*
 * Attention of the newest row of a window that is there as a whole, recomputed at each frame: that of the second layer
 * after a retroactive one (maths section 5). It keeps no state, and knows nothing of projections and frames.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "run.h"

struct attn_window; /* immutable after its making */

/* Checks the options (retroactive is 0 and refresh immediate: there is nothing to spread). Landmarks are copied. Owner:
 * the caller. Errors: ATTN_E_OPTIONS, ATTN_E_SUPPORT, ATTN_E_MEMORY. */
int attn_window_new(struct attn_window **window, const struct attn_options *options, struct attn_reason *why);
void attn_window_free(struct attn_window *window);

/* Bytes for windows of up to n rows; a multiple of ATTN_ALIGN. Counted in 64 bits: more than any memory is possible. */
uint64_t attn_window_scratch_bytes(const struct attn_window *window);

/* Multiply-adds of the largest window. */
double attn_window_most_multiply_adds(const struct attn_window *window);

/* How many segments a window of n_rows is cut into for landmarks; 0 where their means are not needed. */
size_t attn_window_segments(const struct attn_window *window, size_t n_rows);

/* means[c][width] of rows[n_rows][width], oldest first, over each of the c = attn_window_segments(n_rows) segments. */
void attn_window_means(const struct attn_window *window, size_t n_rows, size_t width, float *means, const float *rows);

/* output[H][d] = attention of the newest query over the window: q[1+c][H][d], the newest and then the means of the c
 * segments; kv[n_rows][2][H][d], oldest first. Source: [Ny] equation 13 with segments by place; exact where
 * n_rows ≤ m, or the method is. */
void attn_window_attend(const struct attn_window *window, struct attn_run *run, size_t n_rows, float *output,
                        const float *q, const float *kv, void *scratch);
