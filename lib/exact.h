/* SPDX-License-Identifier: MIT */
/* Exact continual attention (maths section 2). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What every method of raw attention shares. */
struct attn_shape {
    size_t heads;    /* H */
    size_t head_dim; /* d */
    size_t window;   /* n */
    float scale;     /* log₂e / √d: takes q·k to a logit in base 2 */
};

/* log₂e / √d */
float attn_exact_scale(size_t head_dim);

/* Floats of state and of scratch. */
size_t attn_exact_state(const struct attn_shape *shape);
size_t attn_exact_scratch(const struct attn_shape *shape);

/* The step of position t on a state that was zeros at position 0: qkv [3][H][d], output [H][d] (NULL: not computed). */
void attn_exact_step(const struct attn_shape *shape, float *state, uint64_t t, const float *qkv, float *output,
                     float *scratch);

/* output[d] = softmax of (scaled q[d] · keys[R×d]) · values[R×d]; weights: scratch, R floats. */
void attn_exact_attend(float *output, const float *scaled_q, const float *keys, const float *values, size_t n_rows,
                       size_t d, float *weights);
