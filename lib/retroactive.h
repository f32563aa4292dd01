/* SPDX-License-Identifier: MIT */
/* Attention whose outputs for the whole window are computed anew with each frame (maths section 5), exact or Nyström.
 */
#pragma once

#include <stdbool.h>

#include "exact.h"
#include "landmarks.h"

struct attn_retroactive {
    struct attn_shape shape;
    bool exact;
    struct attn_landmarks landmarks; /* zeros where attention is exact */
    size_t head;                     /* floats of one head's state */
};

/* Derives everything constant; fixed landmarks are copied. Returns 0 or ATTN_E_MEMORY; in both cases the caller calls
 * done. */
int attn_retroactive_init(struct attn_retroactive *retroactive, const struct attn_options *options,
                          const struct attn_shape *shape, bool exact, struct attn_run *run);
void attn_retroactive_done(struct attn_retroactive *retroactive);

/* Floats of state and of scratch. */
size_t attn_retroactive_state(const struct attn_retroactive *retroactive);
size_t attn_retroactive_scratch(const struct attn_retroactive *retroactive);

/* The step of a frame: qkv [3][H][d] → the |W_t| rows that exist, oldest first, [|W_t|][H][d] or, raw, [H][|W_t|][d].
 * NULL: not computed. */
void attn_retroactive_step(const struct attn_retroactive *retroactive, struct attn_run *run, float *state,
                           struct attn_when when, const float *qkv, float *output, bool raw, float *scratch);

/* What the state holds of head h: rings of queries, keys and values, and the landmarks (`odd`: landmarks.h). */
struct attn_retroactive_head {
    float *queries, *keys, *values; /* [n][d] each */
    struct attn_landmarks_head landmarks;
};
struct attn_retroactive_head attn_retroactive_at(const struct attn_retroactive *retroactive, float *state, size_t h,
                                                 bool odd);

/* The rows [|W_t|][d] of head h, read again from the state. */
void attn_retroactive_read(const struct attn_retroactive *retroactive, struct attn_run *run, float *state,
                           struct attn_when when, size_t h, float *rows, float *scratch);
