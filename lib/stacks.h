/* SPDX-License-Identifier: MIT */
/* ΔV of one head over a sliding window: for each of m landmarks two stacks of aggregates (maths section 7). They know
 * nothing of where the landmarks come from, and nothing of β and Γ. */
#pragma once

#include <stddef.h>

#include "aggregate.h"
#include "segments.h"

struct attn_stacks {
    struct attn_segments segments; /* landmark j flips when segment ⌊j·segments/m⌋ closes */
    size_t landmarks;              /* m, not fewer than segments */
    size_t head_dim;               /* d */
    size_t row;                    /* floats of m aggregates */
};

/* What the aggregates are made of; Q̃ scaled to logits in base 2. The first n_rows slots hold frames. */
struct attn_stacks_source {
    const float *q_landmarks; /* [m][d] */
    const float *keys;        /* [n][d] */
    const float *values;      /* [n][d] */
    size_t n_rows;
};

struct attn_stacks attn_stacks(struct attn_segments segments, size_t landmarks, size_t head_dim);

/* Floats of memory, a multiple of 16, and of scratch. */
size_t attn_stacks_floats(const struct attn_stacks *stacks);
size_t attn_stacks_scratch(const struct attn_stacks *stacks);

/* Makes everything empty. */
void attn_stacks_clear(const struct attn_stacks *stacks, float *memory);

/* The frame in `slot` joins the back of each landmark. */
void attn_stacks_extend(const struct attn_stacks *stacks, float *memory, const struct attn_stacks_source *source,
                        size_t slot, float *scratch);

/* Segment `closed` has just closed: its landmarks get the whole window as their front and nothing as their back. */
void attn_stacks_flip(const struct attn_stacks *stacks, float *memory, const struct attn_stacks_source *source,
                      size_t closed, float *scratch);

/* `oldest`, the segment after the one that has just closed, gets a front at each of its slots. After the flip. */
void attn_stacks_expand(const struct attn_stacks *stacks, float *memory, const struct attn_stacks_source *source,
                        size_t oldest, float *scratch);

/* The aggregates of the frames since each landmark's flip. */
struct attn_aggregates attn_stacks_back(const struct attn_stacks *stacks, float *memory);

/* The aggregates of the other frames of the window that begins after `slot`, the newest frame's slot in `segment`. */
struct attn_aggregates attn_stacks_front(const struct attn_stacks *stacks, float *memory, size_t segment, size_t slot);
