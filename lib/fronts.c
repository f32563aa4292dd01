/* SPDX-License-Identifier: MIT */
/*
 * Each landmark flips once in n frames, when a certain segment e closes: then its window consists of whole segments,
 * the oldest being e + 1, and one backward scan over them writes an aggregate at each boundary that will still be asked
 * for: e, the newest segment, alone; e − 1 and e; and so on to e + 2 … e. While the next frames overwrite segment u,
 * the front is the one at u + 1; while they overwrite e itself there is none, and the one at e + 1, never written, is
 * empty. The frames that arrive after the flip join the back. (Frames of u that are not overwritten yet: remainder.h.)
 *
 * With spread refresh the scan is done while the frames of e arrive, a share with each: the chain from e − 1 backward,
 * and beside it the sum of e's own frames, the middle. The chain is written in place, for no front of these landmarks
 * is asked for during e. The middle joins a front only while the segment before arrives that asks for it, again a share
 * with each frame, so that every pass runs along memory.
 *
 * A sum of n floats one by one may lose n/2 units in its last place, where the frames are alike. So in windows of more
 * than FEW frames the back holds the newest AT_ONCE at most: then, and when a segment closes, it joins the settled sum,
 * all since the flip, and that with the front of the open segment is the one that is asked for.
 *
 * Nothing is ever subtracted, and every stored aggregate depends on the frames in it and their slots alone, so that
 * what came before a window leaves no trace. Slots that hold no frame count as nothing.
 */
#include "fronts.h"

#include <string.h>

enum {
    FEW = 1024, /* frames that may be summed one by one: 2^-25 of the sum may be lost with each */
    AT_ONCE = 256
};

static size_t group_size(size_t landmarks, size_t count)
{
    return (landmarks + count - 1) / count;
}

struct attn_fronts attn_fronts(struct attn_segments segments, size_t landmarks, size_t head_dim, bool spread,
                               size_t lag)
{
    return (struct attn_fronts){
        .segments = segments,
        .landmarks = landmarks,
        .head_dim = head_dim,
        .spread = spread,
        .settles = segments.n > FEW,
        .lag = lag,
        .row = attn_aggregates_floats(landmarks, head_dim),
    };
}

size_t attn_fronts_floats(const struct attn_fronts *fronts)
{
    return (1 + fronts->segments.count + fronts->spread + (fronts->settles ? 2 : 0)) * fronts->row;
}

size_t attn_fronts_scratch(const struct attn_fronts *fronts)
{
    size_t n = fronts->segments.n;
    size_t group = 3 * group_size(fronts->landmarks, fronts->segments.count);
    return n > group ? n : group;
}

struct attn_aggregates attn_fronts_back(const struct attn_fronts *fronts, float *memory)
{
    return attn_aggregates_at(memory, fronts->landmarks);
}

/* The front that begins with this segment. */
static struct attn_aggregates boundary(const struct attn_fronts *fronts, float *memory, size_t segment)
{
    return attn_aggregates_at(memory + (1 + segment) * fronts->row, fronts->landmarks);
}

/* Spread: of each landmark the frames of the segment that it flipped with. */
static struct attn_aggregates middle(const struct attn_fronts *fronts, float *memory)
{
    return attn_aggregates_at(memory + (1 + fronts->segments.count) * fronts->row, fronts->landmarks);
}

static struct attn_aggregates front_of(const struct attn_fronts *fronts, float *memory, size_t open)
{
    return boundary(fronts, memory, attn_segments_next(&fronts->segments, open));
}

/* In long windows: the frames since each landmark's flip but those in the back. */
static struct attn_aggregates settled(const struct attn_fronts *fronts, float *memory)
{
    return attn_aggregates_at(memory + (1 + fronts->segments.count + fronts->spread) * fronts->row, fronts->landmarks);
}

/* These and the front of the open segment. */
static struct attn_aggregates still(const struct attn_fronts *fronts, float *memory)
{
    return attn_aggregates_at(memory + (2 + fronts->segments.count + fronts->spread) * fronts->row, fronts->landmarks);
}

struct attn_aggregates attn_fronts_front(const struct attn_fronts *fronts, float *memory, size_t open)
{
    return fronts->settles ? still(fronts, memory) : front_of(fronts, memory, open);
}

struct attn_fronts_group attn_fronts_flipping(const struct attn_fronts *fronts, size_t segment)
{
    size_t count = fronts->segments.count, m = fronts->landmarks;
    size_t own = (segment + count - fronts->lag) % count;
    return (struct attn_fronts_group){group_size(own * m, count), group_size((own + 1) * m, count)};
}

void attn_fronts_clear(const struct attn_fronts *fronts, float *memory)
{
    size_t m = fronts->landmarks, d = fronts->head_dim;
    attn_aggregates_clear(NULL, attn_fronts_back(fronts, memory), 0, m, d);
    for (size_t segment = 0; segment < fronts->segments.count; segment++)
        attn_aggregates_clear(NULL, boundary(fronts, memory, segment), 0, m, d);
    if (fronts->spread)
        attn_aggregates_clear(NULL, middle(fronts, memory), 0, m, d);
    if (fronts->settles) {
        attn_aggregates_clear(NULL, settled(fronts, memory), 0, m, d);
        attn_aggregates_clear(NULL, still(fronts, memory), 0, m, d);
    }
}

/* One landmark's backward scan. */
struct scan {
    size_t j;
    const float *q; /* [d] */
    float *logits;  /* [n], by slot */
};

/* A link of the chain of fronts: slots from … to − 1 of a segment. */
static struct attn_link link_of(const struct attn_fronts *fronts, float *memory,
                                const struct attn_fronts_source *source, const struct scan *scan, size_t segment,
                                size_t from, size_t to)
{
    size_t d = fronts->head_dim;
    struct attn_aggregates front = boundary(fronts, memory, segment);
    return (struct attn_link){
        .offset = front.offset + scan->j,
        .sum = front.sum + scan->j,
        .vector = front.vector + scan->j * d,
        .n_rows = to - from,
        .logits = scan->logits + from,
        .values = source->values + from * d,
    };
}

/* Rows first … end − 1 of a segment, counted from its last backward, join the chain: `segment`'s front becomes what it
 * is already, or `newer` where first is 0, and these frames. */
static void scan_rows(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                      float *memory, const struct attn_fronts_source *source, const struct scan *scan, size_t segment,
                      size_t newer, size_t first, size_t end)
{
    size_t d = fronts->head_dim, last = attn_segments_end(&fronts->segments, segment);
    size_t filled = attn_place_from(&fronts->segments, place, segment);
    size_t from = last - end > filled ? last - end : filled, to = last - first > from ? last - first : from;
    struct attn_link link = link_of(fronts, memory, source, scan, segment, from, to);
    attn_run_logits(run, to - from, d, link.logits, source->keys + from * d, scan->q);
    attn_aggregates_fold(run, &link, 1, boundary(fronts, memory, first == 0 ? newer : segment), scan->j, d);
}

/* The part first … end − 1 of the backward scan, counted in slots, that begins with the last slot of segment `newest`;
 * the front that it starts from is that of the segment after the one that closes, which is empty. */
static void scan(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place, float *memory,
                 const struct attn_fronts_source *source, const struct scan *scan, size_t newest, size_t first,
                 size_t end)
{
    const struct attn_segments *segments = &fronts->segments;
    size_t newer = attn_segments_next(segments, place->segment);
    for (size_t segment = newest, base = 0; base < end; segment = attn_segments_before(segments, segment)) {
        size_t length = attn_segments_end(segments, segment) - attn_segments_start(segments, segment);
        if (base + length > first)
            scan_rows(fronts, run, place, memory, source, scan, segment, newer, first > base ? first - base : 0,
                      end - base < length ? end - base : length);
        base += length;
        newer = segment;
    }
}

/* Slots of all segments but the one that closes and the one after it. */
static size_t n_older(const struct attn_fronts *fronts, const struct attn_place *place)
{
    const struct attn_segments *segments = &fronts->segments;
    size_t oldest = attn_segments_next(segments, place->segment);
    size_t others = place->length + attn_segments_end(segments, oldest) - attn_segments_start(segments, oldest);
    return segments->n > others ? segments->n - others : 0;
}

static bool in_group(struct attn_fronts_group group, size_t j)
{
    return group.first <= j && j < group.end;
}

/* Spread: the share of this frame in the front that will be asked for when the next segment arrives. Those who flip
 * when the open one closes have theirs then, and those who flip with the next have none. */
static void complete_front(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                           float *memory)
{
    size_t next = attn_segments_next(&fronts->segments, place->segment), m = fronts->landmarks;
    struct attn_aggregates front = front_of(fronts, memory, next), own = middle(fronts, memory);
    struct attn_fronts_group flip_now = attn_fronts_flipping(fronts, place->segment);
    struct attn_fronts_group flip_next = attn_fronts_flipping(fronts, next);
    size_t first = (size_t)((uint64_t)m * place->row / place->length);
    size_t end = (size_t)((uint64_t)m * (place->row + 1) / place->length);
    for (size_t j = first; j < end; j++)
        if (!in_group(flip_now, j) && !in_group(flip_next, j))
            attn_aggregates_merge(run, front, j, own, j, fronts->head_dim);
}

/* Spread: the frame joins the middle of those who flip when its segment closes. */
static void extend_middle(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                          float *memory, const struct attn_fronts_source *source, struct attn_fronts_group group,
                          float *scratch)
{
    size_t d = fronts->head_dim, size = group.end - group.first;
    struct attn_aggregates own = middle(fronts, memory);
    if (place->row == 0) { /* the new chain begins */
        attn_aggregates_clear(run, own, group.first, group.end, d);
        attn_aggregates_clear(run, boundary(fronts, memory, place->segment), group.first, group.end, d);
    }
    own.offset += group.first;
    own.sum += group.first;
    own.vector += group.first * d;
    attn_run_logits(run, size, d, scratch, source->q, source->keys + place->slot * d);
    attn_aggregates_extend(run, own, scratch, source->values + place->slot * d, size, d, scratch + size);
}

void attn_fronts_go_on(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                       float *memory, const struct attn_fronts_source *source, float *scratch)
{
    struct attn_fronts_group group = attn_fronts_flipping(fronts, place->segment);
    complete_front(fronts, run, place, memory);
    if (group.first == group.end)
        return;
    extend_middle(fronts, run, place, memory, source, group, scratch);
    size_t slots = n_older(fronts, place), d = fronts->head_dim;
    uint64_t first = (uint64_t)slots * place->row / place->length;
    uint64_t end = (uint64_t)slots * (place->row + 1) / place->length;
    size_t newest = attn_segments_before(&fronts->segments, place->segment);
    for (size_t j = group.first; j < group.end; j++) {
        struct scan own_scan = {.j = j, .q = source->q + (j - group.first) * d, .logits = scratch};
        scan(fronts, run, place, memory, source, &own_scan, newest, (size_t)first, (size_t)end);
    }
}

/* Immediate: the whole scan, from the segment that closes to the one before the oldest, which is empty. */
static void scan_window(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                        float *memory, const struct attn_fronts_source *source, const struct scan *scan)
{
    enum { MOST_LINKS = 16 /* in one call */ };
    const struct attn_segments *segments = &fronts->segments;
    size_t d = fronts->head_dim, oldest = attn_segments_next(segments, place->segment), newer = oldest;
    attn_run_logits(run, segments->n, d, scan->logits, source->keys, scan->q);
    for (size_t segment = place->segment; segment != oldest;) {
        struct attn_link links[MOST_LINKS];
        size_t n_links = 0, before = newer;
        for (; n_links < MOST_LINKS && segment != oldest; segment = attn_segments_before(segments, segment)) {
            size_t from = attn_place_from(segments, place, segment), to = attn_segments_end(segments, segment);
            links[n_links++] = link_of(fronts, memory, source, scan, segment, from, to);
            newer = segment;
        }
        attn_aggregates_fold(run, links, n_links, boundary(fronts, memory, before), scan->j, d);
    }
}

void attn_fronts_flip(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                      float *memory, const struct attn_fronts_source *source, float *scratch)
{
    struct attn_fronts_group group = attn_fronts_flipping(fronts, place->segment);
    attn_aggregates_clear(run, attn_fronts_back(fronts, memory), group.first, group.end, fronts->head_dim);
    if (fronts->settles)
        attn_aggregates_clear(run, settled(fronts, memory), group.first, group.end, fronts->head_dim);
    if (fronts->segments.count == 1 || group.first == group.end)
        return;
    size_t next = attn_segments_next(&fronts->segments, place->segment);
    for (size_t j = group.first; j < group.end; j++) {
        struct scan own = {j, source->q + (j - group.first) * fronts->head_dim, scratch};
        if (fronts->spread)
            attn_aggregates_merge(run, front_of(fronts, memory, next), j, middle(fronts, memory), j, fronts->head_dim);
        else
            scan_window(fronts, run, place, memory, source, &own);
    }
}

void attn_fronts_settle(const struct attn_fronts *fronts, struct attn_run *run, const struct attn_place *place,
                        float *memory)
{
    size_t m = fronts->landmarks, d = fronts->head_dim;
    if (!fronts->settles || !(place->closes || (place->row + 1) % AT_ONCE == 0))
        return;
    size_t open = place->closes ? attn_segments_next(&fronts->segments, place->segment) : place->segment;
    attn_aggregates_merge_all(run, settled(fronts, memory), attn_fronts_back(fronts, memory), m, d);
    attn_aggregates_clear(run, attn_fronts_back(fronts, memory), 0, m, d);
    attn_aggregates_copy(run, still(fronts, memory), front_of(fronts, memory, open), m, d);
    attn_aggregates_merge_all(run, still(fronts, memory), settled(fronts, memory), m, d);
}
