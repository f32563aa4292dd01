/* SPDX-License-Identifier: MIT */
/* Where a frame stands in the circle of slots (maths section 3), and which slots hold frames then. Everything that a
 * step does is tied to this, and so to the position alone. */
#pragma once

#include <stdbool.h>

#include "run.h"
#include "segments.h"

struct attn_place {
    struct attn_when when;
    uint64_t lap;   /* t / n: how often the circle was gone round */
    size_t slot;    /* t mod n */
    size_t segment; /* that the slot lies in */
    size_t row;     /* of the slot in its segment */
    size_t length;  /* of the segment, slots */
    bool closes;    /* t is the last position of its segment */
};

static inline struct attn_place attn_place_of(const struct attn_segments *segments, struct attn_when when)
{
    struct attn_place place = {.when = when, .lap = when.t / segments->n, .slot = (size_t)(when.t % segments->n)};
    place.segment = attn_segments_of(segments, place.slot);
    size_t start = attn_segments_start(segments, place.segment);
    place.row = place.slot - start;
    place.length = attn_segments_end(segments, place.segment) - start;
    place.closes = place.row + 1 == place.length;
    return place;
}

/* The first slot of a segment that holds a frame of that lap; one past its last where none does. Frames never begin to
 * be missing in the middle of a window, so all behind it are there. */
static inline size_t attn_place_lap_from(const struct attn_segments *segments, size_t segment, uint64_t lap,
                                         uint64_t first)
{
    size_t start = attn_segments_start(segments, segment), end = attn_segments_end(segments, segment);
    uint64_t base = lap * segments->n;
    if (first <= base + start)
        return start;
    return first >= base + end ? end : (size_t)(first - base);
}

/* The same for the newest frames of a segment that is complete: of any but the open one, and of that too when it closes
 * here. */
static inline size_t attn_place_from(const struct attn_segments *segments, const struct attn_place *place,
                                     size_t segment)
{
    bool this_lap = segment < place->segment || (segment == place->segment && place->closes);
    if (!this_lap && place->lap == 0)
        return attn_segments_end(segments, segment);
    return attn_place_lap_from(segments, segment, place->lap - !this_lap, place->when.first);
}

/* How many segments have closed that began with the stream or after it. */
static inline uint64_t attn_place_closed(const struct attn_segments *segments, const struct attn_place *place)
{
    uint64_t first = place->when.first;
    size_t slot = (size_t)(first % segments->n), segment = attn_segments_of(segments, slot);
    uint64_t before =
        first / segments->n * segments->count + segment + (slot != attn_segments_start(segments, segment));
    uint64_t closed = place->lap * segments->count + place->segment + place->closes;
    return closed > before ? closed - before : 0;
}
