/* SPDX-License-Identifier: MIT */
/* Exact continual attention (maths sections 2 and 5). */
#pragma once

#include "run.h"

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

/* The step of a frame: qkv [3][H][d], output [H][d] (NULL: not computed). */
void attn_exact_step(const struct attn_shape *shape, struct attn_run *run, float *state, struct attn_when when,
                     const float *qkv, float *output, float *scratch);

/* What the state holds of head h: rings of keys [n][d] and values [n][d], and the newest query [d]. */
struct attn_exact_head {
    float *keys, *values, *query;
};
struct attn_exact_head attn_exact_at(const struct attn_shape *shape, float *state, size_t h);

/* output[d] of one head for the query q[d], not scaled, over the frames of the window in its rings: those of the
 * positions max(first, t−n+1) … t. Scratch: attn_exact_scratch floats. */
void attn_exact_attend(const struct attn_shape *shape, struct attn_run *run, struct attn_when when, const float *keys,
                       const float *values, const float *q, float *output, float *scratch);
