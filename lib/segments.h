/* SPDX-License-Identifier: MIT */
/* The slots of a window cut into segments (maths section 3). It knows nothing of what the slots hold. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* n slots in `count` consecutive segments: the first n mod count have `shortest` + 1 slots, the others `shortest`. */
struct attn_segments {
    size_t n;        /* slots, 1 … */
    size_t count;    /* 1 … n */
    size_t shortest; /* ⌊n/count⌋ */
    size_t n_long;   /* n mod count */
};

static inline struct attn_segments attn_segments(size_t n, size_t count)
{
    return (struct attn_segments){.n = n, .count = count, .shortest = n / count, .n_long = n % count};
}

/* ⌈n/count⌉ */
static inline size_t attn_segments_longest(const struct attn_segments *segments)
{
    return segments->shortest + (segments->n_long > 0);
}

/* The first slot of a segment; that of segment `count` is n. */
static inline size_t attn_segments_start(const struct attn_segments *segments, size_t segment)
{
    return segment * segments->shortest + (segment < segments->n_long ? segment : segments->n_long);
}

/* One past the last slot of a segment. */
static inline size_t attn_segments_end(const struct attn_segments *segments, size_t segment)
{
    return attn_segments_start(segments, segment + 1);
}

/* The segment after this one in the circle of slots. */
static inline size_t attn_segments_next(const struct attn_segments *segments, size_t segment)
{
    return segment + 1 == segments->count ? 0 : segment + 1;
}

/* The segment before this one in the circle of slots. */
static inline size_t attn_segments_before(const struct attn_segments *segments, size_t segment)
{
    return segment == 0 ? segments->count - 1 : segment - 1;
}

/* The segment that a slot lies in. */
static inline size_t attn_segments_of(const struct attn_segments *segments, size_t slot)
{
    size_t long_slots = segments->n_long * (segments->shortest + 1);
    if (slot < long_slots)
        return slot / (segments->shortest + 1);
    return segments->n_long + (slot - long_slots) / segments->shortest;
}

/* Segments closed when the frames 0 … t have arrived, at most `count`. */
static inline size_t attn_segments_closed(const struct attn_segments *segments, uint64_t t)
{
    if (t >= segments->n)
        return segments->count;
    size_t segment = attn_segments_of(segments, (size_t)t);
    return segment + (t + 1 == attn_segments_end(segments, segment));
}
