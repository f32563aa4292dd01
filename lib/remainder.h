/* SPDX-License-Identifier: MIT */
/* The old frames of the open segment, for one head: those in slots that the segment's new frames have not come to yet.
 * They leave the window one by one, so they are kept one by one: not as sums, but as their logits to each landmark. */
#pragma once

#include <stdbool.h>

#include "aggregate.h"
#include "place.h"

struct attn_remainder {
    struct attn_segments segments;
    size_t landmarks; /* m */
    size_t head_dim;  /* d */
    bool spread;
    size_t n_blocks; /* of the longest segment */
    size_t row;      /* floats of m aggregates */
    size_t floats;   /* of one segment */
};

/* What the logits are made of. */
struct attn_remainder_source {
    const float *q_by_d;     /* Q̃ [d][m], scaled to logits in base 2 */
    const float *entering_q; /* [d]: with spread, the landmark that enters when the open segment closes, or NULL */
    size_t entering;         /* its place */
    const float *keys;       /* [n][d] */
    const float *values;     /* [n][d] */
};

/* The frames that still count at a place, the same for every head: single ones, and the sums over those in later
 * blocks. */
struct attn_remainder_now {
    size_t logits; /* where [n_rows][m] begin in the memory */
    size_t slot;   /* of the first; the others follow */
    size_t n_rows;
    bool has_later;
    size_t later; /* where m aggregates begin in the memory */
};

struct attn_remainder attn_remainder(struct attn_segments segments, size_t landmarks, size_t head_dim, bool spread);

/* The most frames that are kept one by one at a time. */
size_t attn_remainder_most_rows(const struct attn_remainder *remainder);

/* Floats of memory, a multiple of 16, and of scratch. */
size_t attn_remainder_floats(const struct attn_remainder *remainder);
size_t attn_remainder_scratch(const struct attn_remainder *remainder);

void attn_remainder_clear(const struct attn_remainder *remainder, float *memory);

/* Prepares the segment after the place's, whose frames are the oldest: all of it when the place closes its segment and
 * the landmarks are those of the time after (immediate), or the share of this frame (spread). */
void attn_remainder_prepare(const struct attn_remainder *remainder, struct attn_run *run,
                            const struct attn_place *place, float *memory, const struct attn_remainder_source *source,
                            float *scratch);

/* What is left of the segment that the frame after the place's will come to. */
struct attn_remainder_now attn_remainder_now(const struct attn_remainder *remainder, const struct attn_place *place);
