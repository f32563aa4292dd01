/* SPDX-License-Identifier: MIT */
/*
 * For each landmark j the softmax-weighted mean of the values over the window is kept as two stacks of (max, sum,
 * vector):
 *
 *     back:  the frames since the landmark's flip, one aggregate that grows by a merge a frame;
 *     front: the older frames of the window, an aggregate for every suffix that will still be asked for.
 *
 * A landmark flips when a segment closes: then the window begins exactly at a segment, and one backward scan over it
 * writes the front at each segment boundary. The front at the slots inside the oldest segment is expanded, for all
 * landmarks, when the segment before it closes. At position t, in slot r of segment u, the front begins at slot r + 1
 * of u, for the slots up to r hold new frames; when t closes u, that is the boundary of the next segment.
 *
 * Nothing is ever subtracted, and every stored aggregate depends on the frames in it and their slots alone, so that
 * what came before a window leaves no trace. Slots that hold no frame yet count as nothing.
 *
 * Memory: one row of m aggregates for the back, one for each segment's boundary, and one for each slot but the first of
 * the longest segment.
 */
#include "stacks.h"

#include "kernel.h"

struct attn_stacks attn_stacks(struct attn_segments segments, size_t landmarks, size_t head_dim)
{
    return (struct attn_stacks){
        .segments = segments,
        .landmarks = landmarks,
        .head_dim = head_dim,
        .row = attn_aggregates_floats(landmarks, head_dim),
    };
}

static size_t n_rows_of_memory(const struct attn_stacks *stacks)
{
    return stacks->segments.count + attn_segments_longest(&stacks->segments);
}

size_t attn_stacks_floats(const struct attn_stacks *stacks)
{
    return n_rows_of_memory(stacks) * stacks->row;
}

size_t attn_stacks_scratch(const struct attn_stacks *stacks)
{
    return stacks->landmarks > stacks->segments.n ? stacks->landmarks : stacks->segments.n;
}

static struct attn_aggregates row_of(const struct attn_stacks *stacks, float *memory, size_t row)
{
    return attn_aggregates_at(memory + row * stacks->row, stacks->landmarks);
}

static struct attn_aggregates boundary(const struct attn_stacks *stacks, float *memory, size_t segment)
{
    return row_of(stacks, memory, 1 + segment);
}

/* The front at slot `place` (1 …) of the oldest segment. */
static struct attn_aggregates expanded(const struct attn_stacks *stacks, float *memory, size_t place)
{
    return row_of(stacks, memory, stacks->segments.count + place);
}

struct attn_aggregates attn_stacks_back(const struct attn_stacks *stacks, float *memory)
{
    return row_of(stacks, memory, 0);
}

struct attn_aggregates attn_stacks_front(const struct attn_stacks *stacks, float *memory, size_t segment, size_t slot)
{
    if (slot + 1 == attn_segments_end(&stacks->segments, segment))
        return boundary(stacks, memory, attn_segments_next(&stacks->segments, segment));
    return expanded(stacks, memory, slot + 1 - attn_segments_start(&stacks->segments, segment));
}

/* The first landmark that flips when this segment closes; with `segment` one past the last: m. */
static size_t first_landmark(const struct attn_stacks *stacks, size_t segment)
{
    size_t count = stacks->segments.count;
    return (segment * stacks->landmarks + count - 1) / count;
}

void attn_stacks_clear(const struct attn_stacks *stacks, float *memory)
{
    for (size_t row = 0; row < n_rows_of_memory(stacks); row++)
        attn_aggregates_clear(row_of(stacks, memory, row), 0, stacks->landmarks, stacks->head_dim);
}

/* to = from and the frame in `slot`, for every landmark. */
static void extend(const struct attn_stacks *stacks, struct attn_aggregates to, struct attn_aggregates from,
                   const struct attn_stacks_source *source, size_t slot, float *logits)
{
    size_t m = stacks->landmarks, d = stacks->head_dim;
    attn_kernel_logits(logits, source->keys + slot * d, source->q_landmarks, m, d);
    attn_aggregates_extend(to, from, logits, source->values + slot * d, m, d);
}

void attn_stacks_extend(const struct attn_stacks *stacks, float *memory, const struct attn_stacks_source *source,
                        size_t slot, float *scratch)
{
    struct attn_aggregates back = attn_stacks_back(stacks, memory);
    extend(stacks, back, back, source, slot, scratch);
}

/* The backward scan of landmark j: from the segment that has just closed to the oldest. */
static void scan(const struct attn_stacks *stacks, float *memory, const struct attn_stacks_source *source,
                 size_t closed, size_t j, float *logits)
{
    const struct attn_segments *segments = &stacks->segments;
    size_t d = stacks->head_dim;
    struct attn_aggregates newer = attn_stacks_back(stacks, memory); /* just emptied */
    attn_kernel_logits(logits, source->q_landmarks + j * d, source->keys, source->n_rows, d);
    for (size_t i = 0, segment = closed; i < segments->count; i++) {
        size_t start = attn_segments_start(segments, segment);
        size_t end = attn_segments_end(segments, segment);
        size_t n_rows = end <= source->n_rows ? end - start : 0;
        struct attn_aggregates front = boundary(stacks, memory, segment);
        attn_aggregates_fold(front, newer, j, logits + start, source->values + start * d, n_rows, d);
        newer = front;
        segment = segment == 0 ? segments->count - 1 : segment - 1;
    }
}

void attn_stacks_flip(const struct attn_stacks *stacks, float *memory, const struct attn_stacks_source *source,
                      size_t closed, float *scratch)
{
    size_t first = first_landmark(stacks, closed), end = first_landmark(stacks, closed + 1);
    attn_aggregates_clear(attn_stacks_back(stacks, memory), first, end, stacks->head_dim);
    for (size_t j = first; j < end; j++)
        scan(stacks, memory, source, closed, j, scratch);
}

/* The front behind the oldest segment. Of the landmarks that flip when it closes it is the last one: nothing comes
 * after it, and the boundary there, the start of their scan, has served. With one segment, all landmarks have just
 * flipped. */
static struct attn_aggregates after_oldest(const struct attn_stacks *stacks, float *memory, size_t oldest)
{
    if (stacks->segments.count == 1)
        return attn_stacks_back(stacks, memory);
    struct attn_aggregates after = boundary(stacks, memory, attn_segments_next(&stacks->segments, oldest));
    attn_aggregates_clear(after, first_landmark(stacks, oldest), first_landmark(stacks, oldest + 1), stacks->head_dim);
    return after;
}

void attn_stacks_expand(const struct attn_stacks *stacks, float *memory, const struct attn_stacks_source *source,
                        size_t oldest, float *scratch)
{
    const struct attn_segments *segments = &stacks->segments;
    size_t start = attn_segments_start(segments, oldest), end = attn_segments_end(segments, oldest);
    struct attn_aggregates newer = after_oldest(stacks, memory, oldest);
    for (size_t slot = end - 1; slot > start; slot--) {
        struct attn_aggregates front = expanded(stacks, memory, slot - start);
        if (slot < source->n_rows) {
            extend(stacks, front, newer, source, slot, scratch);
        } else {
            attn_aggregates_copy(front, newer, 0, stacks->landmarks, stacks->head_dim);
        }
        newer = front;
    }
}
