/* SPDX-License-Identifier: MIT */
/* The sums of ΔV over a sliding window, for one head (maths section 7): for each of m landmarks a back that grows and
 * fronts that were scanned once. They know nothing of where the landmarks come from, and nothing of β and Γ. */
#pragma once

#include <stdbool.h>

#include "aggregate.h"
#include "place.h"

struct attn_fronts {
    struct attn_segments segments;
    size_t landmarks; /* m */
    size_t head_dim;  /* d */
    bool spread;
    bool settles; /* the window is long: attn_fronts_settle has something to do */
    size_t lag;   /* landmark j flips when segment ⌊j·segments/m⌋ + lag closes */
    size_t row;   /* floats of m aggregates */
};

/* What the aggregates are made of. */
struct attn_fronts_source {
    const float *q; /* Q̃ of the landmarks that flip when the open segment closes, [F][d], scaled to logits in base 2 */
    const float *keys;   /* [n][d] */
    const float *values; /* [n][d] */
};

/* Landmarks that stand side by side: first … end − 1. */
struct attn_fronts_group {
    size_t first, end;
};

struct attn_fronts attn_fronts(struct attn_segments segments, size_t landmarks, size_t head_dim, bool spread,
                               size_t lag);

/* Floats of memory, a multiple of 16, and of scratch. */
size_t attn_fronts_floats(const struct attn_fronts *fronts);
size_t attn_fronts_scratch(const struct attn_fronts *fronts);

/* Makes everything empty. */
void attn_fronts_clear(const struct attn_fronts *fronts, float *memory);

/* The landmarks that flip when this segment closes; there may be none. */
struct attn_fronts_group attn_fronts_flipping(const struct attn_fronts *fronts, size_t segment);

/* Spread: the share of this frame in the fronts of those that flip when its segment closes. After the frame's key and
 * value are in the rings. */
void attn_fronts_go_on(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                       float *memory, const struct attn_fronts_source *source, float *scratch);

/* The frame of the place has closed its segment: the landmarks that flip get the whole window as their fronts, and
 * nothing as their back. */
void attn_fronts_flip(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                      float *memory, const struct attn_fronts_source *source, float *scratch);

/* What every frame ends with, after the flips: now and then the back joins what it is read with. */
void attn_fronts_settle(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                        float *memory);

/* The newest frames: every frame joins here. Those since each landmark's flip, unless they settle. */
struct attn_aggregates attn_fronts_back(const struct attn_fronts *fronts, float *memory);

/* All older frames of the window but the old ones in slots of `open`, the segment that the next frame comes to. */
struct attn_aggregates attn_fronts_front(const struct attn_fronts *fronts, float *memory, size_t open);
