/* SPDX-License-Identifier: MIT */
/*
 * A segment is cut into blocks of BLOCK slots. The frames of the block that is being overwritten are read out one by
 * one, with the weights that their logits give: (m + d) multiply-adds each, fewer than the md that an aggregate for
 * each of them would take. Those of later blocks have one aggregate a block boundary. So a frame costs at most BLOCK ·
 * (m + d) here, however long segments are.
 *
 * The logits are prepared for the landmarks that there will be while the segment is open, from its last slot backward:
 * with immediate refresh when the segment before it closes, with spread while the frames of that arrive. Then there are
 * two memories, of which the one of the open segment is told by whether its number, counted from position 0, is odd.
 */
#include "remainder.h"

#include <string.h>

enum { BLOCK = 16 };

static size_t blocks_of(size_t length)
{
    return (length + BLOCK - 1) / BLOCK;
}

static size_t logits_floats(const struct attn_remainder *remainder)
{
    return (attn_segments_longest(&remainder->segments) * remainder->landmarks + 15) / 16 * 16;
}

struct attn_remainder attn_remainder(struct attn_segments segments, size_t landmarks, size_t head_dim, bool spread)
{
    struct attn_remainder remainder = {
        .segments = segments,
        .landmarks = landmarks,
        .head_dim = head_dim,
        .spread = spread,
        .n_blocks = blocks_of(attn_segments_longest(&segments)),
        .row = attn_aggregates_floats(landmarks, head_dim),
    };
    remainder.floats = logits_floats(&remainder) + (remainder.n_blocks - 1) * remainder.row;
    return remainder;
}

size_t attn_remainder_most_rows(const struct attn_remainder *remainder)
{
    size_t longest = attn_segments_longest(&remainder->segments);
    return longest < BLOCK ? longest : BLOCK;
}

size_t attn_remainder_floats(const struct attn_remainder *remainder)
{
    return (remainder->spread ? 2 : 1) * remainder->floats;
}

size_t attn_remainder_scratch(const struct attn_remainder *remainder)
{
    return 2 * remainder->landmarks;
}

/* Where a segment's part of the memory begins. */
static size_t part_of(const struct attn_remainder *remainder, uint64_t lap, size_t segment)
{
    bool odd = (lap * remainder->segments.count + segment) % 2 != 0;
    return remainder->spread && odd ? remainder->floats : 0;
}

/* Where the sums over the blocks after this one are in a segment's part. */
static size_t later_than(const struct attn_remainder *remainder, size_t block)
{
    return logits_floats(remainder) + block * remainder->row;
}

static struct attn_aggregates after_block(const struct attn_remainder *remainder, float *part, size_t block)
{
    return attn_aggregates_at(part + later_than(remainder, block), remainder->landmarks);
}

void attn_remainder_clear(const struct attn_remainder *remainder, float *memory)
{
    memset(memory, 0, attn_remainder_floats(remainder) * sizeof(float));
    for (size_t half = 0; half < (remainder->spread ? 2 : 1); half++)
        for (size_t block = 0; block + 1 < remainder->n_blocks; block++)
            attn_aggregates_clear(NULL, after_block(remainder, memory + half * remainder->floats, block), 0,
                                  remainder->landmarks, remainder->head_dim);
}

/* The segment after the place's: where its slots are, and which of them hold frames of the lap before. */
struct coming {
    size_t segment, start, length, from;
    uint64_t lap; /* in which it is overwritten */
};

static struct coming coming_of(const struct attn_remainder *remainder, const struct attn_place *place, size_t segment,
                               uint64_t lap)
{
    const struct attn_segments *segments = &remainder->segments;
    size_t start = attn_segments_start(segments, segment), end = attn_segments_end(segments, segment);
    return (struct coming){
        .segment = segment,
        .start = start,
        .length = end - start,
        .from = lap == 0 ? end : attn_place_lap_from(segments, segment, lap - 1, place->when.first),
        .lap = lap,
    };
}

static struct coming next_of(const struct attn_remainder *remainder, const struct attn_place *place)
{
    size_t next = attn_segments_next(&remainder->segments, place->segment);
    return coming_of(remainder, place, next, place->lap + (next <= place->segment));
}

/* logits[R][m] of rows first … end − 1. */
static void take_logits(const struct attn_remainder *remainder, struct attn_run *run, const struct coming *coming,
                        float *logits, const struct attn_remainder_source *source, size_t first, size_t end)
{
    size_t m = remainder->landmarks, d = remainder->head_dim;
    const float *keys = source->keys + (coming->start + first) * d;
    attn_run_product(run, end - first, d, m, logits + first * m, 1.0f, keys, source->q_by_d);
    run->kernels->clamp((end - first) * m, logits + first * m);
    for (size_t row = first; source->entering_q != NULL && row < end; row++)
        attn_run_logits(run, 1, d, logits + row * m + source->entering, keys + (row - first) * d, source->entering_q);
}

/* The frame of a row joins the sums for the block before its own. They begin with the last row of the block, and the
 * sums over the blocks after it join them when it is whole: a sum of so many frames one by one would lose more. */
static void join_sums(const struct attn_remainder *remainder, struct attn_run *run, const struct coming *coming,
                      float *memory, const struct attn_remainder_source *source, size_t row, float *scratch)
{
    size_t m = remainder->landmarks, d = remainder->head_dim, block = row / BLOCK;
    if (block == 0)
        return;
    struct attn_aggregates sums = after_block(remainder, memory, block - 1);
    if (row + 1 == coming->length || row % BLOCK == BLOCK - 1)
        attn_aggregates_clear(run, sums, 0, m, d);
    if (coming->start + row >= coming->from)
        attn_aggregates_extend(run, sums, memory + row * m, source->values + (coming->start + row) * d, m, d, scratch);
    if (row % BLOCK == 0 && block + 1 < blocks_of(coming->length))
        attn_aggregates_merge_all(run, sums, after_block(remainder, memory, block), m, d);
}

void attn_remainder_prepare(const struct attn_remainder *remainder, struct attn_run *run,
                            const struct attn_place *place, float *memory, const struct attn_remainder_source *source,
                            float *scratch)
{
    struct coming coming = next_of(remainder, place);
    float *own = memory + part_of(remainder, coming.lap, coming.segment);
    uint64_t length = coming.length;
    size_t first = 0, end = coming.length;
    if (remainder->spread) {
        end = (size_t)(length - length * place->row / place->length);
        first = (size_t)(length - length * (place->row + 1) / place->length);
    }
    size_t filled = coming.from - coming.start;
    size_t known = first > filled ? first : filled;
    if (known < end)
        take_logits(remainder, run, &coming, own, source, known, end);
    for (size_t row = end; row-- > first;)
        join_sums(remainder, run, &coming, own, source, row, scratch);
}

struct attn_remainder_now attn_remainder_now(const struct attn_remainder *remainder, const struct attn_place *place)
{
    struct coming open =
        place->closes ? next_of(remainder, place) : coming_of(remainder, place, place->segment, place->lap);
    size_t row = place->closes ? 0 : place->row + 1, block = row / BLOCK;
    size_t end = (block + 1) * BLOCK < open.length ? (block + 1) * BLOCK : open.length;
    size_t filled = open.from - open.start, first = filled > row ? filled : row;
    size_t part = part_of(remainder, open.lap, open.segment);
    first = first < end ? first : end;
    return (struct attn_remainder_now){
        .logits = part + first * remainder->landmarks,
        .slot = open.start + first,
        .n_rows = end - first,
        .has_later = block + 1 < blocks_of(open.length),
        .later = part + later_than(remainder, block),
    };
}
