/* SPDX-License-Identifier: MIT */
/*
 * One step, for each head:
 *
 *     keep k_t and v_t; q_t and k_t join the means of the open segment;
 *     the back of every landmark takes in the frame;
 *     when t closes a segment: a landmark enters, with its fronts, and g(Γ) of all heads;
 *     o_t = β · g(Γ) · (ΔV), where ΔV is the sum over the front, the back and the remainder.
 *
 * Everything is tied to the slots, so that the state is a function of the position and the newest R frames.
 */
#include "nystrom.h"

#include <string.h>

/* The parts of one head's state. */
struct head {
    float *keys, *values, *fronts, *remainder, *query;
    struct attn_landmarks_head landmarks;
};

/* Scratch of one head. */
struct work {
    float *logits;                          /* [m] */
    float *rescale, *weight;                /* [m] each: what `admit` says of the back */
    float *w;                               /* [m], β g(Γ) */
    float *source_weight[ATTN_MAX_SOURCES]; /* [m] each */
    float *shares;                          /* [3m] */
    float *row_weight;                      /* [most rows of the remainder] */
    float *beta;                            /* [H][m] */
    float *rest;                            /* of everything else */
};

enum source { BACK, FRONT, LATER };

/* Where a frame stands. */
struct moment {
    struct attn_place place;        /* in the segments of the sums */
    struct attn_place of_landmarks; /* in those of the landmarks */
    struct attn_arc now;            /* L_t */
    struct attn_remainder_now rest; /* the old frames of the segment that the next frame comes to */
    size_t open;                    /* that segment */
    bool odd_before, odd_after;     /* segments closed (landmarks.h) */
};

static struct moment moment_of(const struct attn_nystrom *nystrom, struct attn_when when)
{
    struct moment moment = {.place = attn_place_of(&nystrom->segments, when)};
    moment.of_landmarks = moment.place;
    if (nystrom->segments.count != nystrom->landmarks.segments.count)
        moment.of_landmarks = attn_place_of(&nystrom->landmarks.segments, when);
    moment.now = attn_landmarks_now(&nystrom->landmarks, &moment.of_landmarks);
    moment.odd_before = attn_landmarks_odd(&nystrom->landmarks, &moment.of_landmarks, false);
    moment.odd_after = attn_landmarks_odd(&nystrom->landmarks, &moment.of_landmarks, true);
    moment.rest = attn_remainder_now(&nystrom->remainder, &moment.place);
    moment.open =
        moment.place.closes ? attn_segments_next(&nystrom->segments, moment.place.segment) : moment.place.segment;
    return moment;
}

/* The parts of head h, set where they will be (attn_landmarks_find). */
static void find_head(const struct attn_nystrom *nystrom, struct head *head, float *state, size_t h, bool odd)
{
    const struct attn_nystrom_layout *layout = &nystrom->layout;
    float *memory = state + h * layout->head;
    head->keys = memory + layout->keys;
    head->values = memory + layout->values;
    head->fronts = memory + layout->fronts;
    head->remainder = memory + layout->remainder;
    head->query = memory + layout->query;
    attn_landmarks_find(&nystrom->landmarks, &head->landmarks, memory + layout->landmarks, h, odd);
}

struct attn_nystrom_head attn_nystrom_at(const struct attn_nystrom *nystrom, float *state, size_t h)
{
    struct head head;
    find_head(nystrom, &head, state, h, false);
    return (struct attn_nystrom_head){head.keys, head.values, head.query, head.landmarks};
}

static struct work work_of(const struct attn_nystrom *nystrom, float *scratch)
{
    size_t m = nystrom->landmarks.count;
    struct work work = {.logits = scratch};
    work.rescale = work.logits + m;
    work.weight = work.rescale + m;
    work.w = work.weight + m;
    for (size_t s = 0; s < ATTN_MAX_SOURCES; s++)
        work.source_weight[s] = work.w + (1 + s) * m;
    work.shares = work.source_weight[ATTN_MAX_SOURCES - 1] + m;
    work.row_weight = work.shares + 3 * m;
    work.beta = work.row_weight + attn_remainder_most_rows(&nystrom->remainder);
    work.rest = work.beta + nystrom->shape.heads * m;
    return work;
}

/* The next offset after an array of this many floats. */
static size_t after(size_t *next, size_t floats)
{
    size_t offset = *next;
    *next += (floats + 15) / 16 * 16;
    return offset;
}

static void lay_out(struct attn_nystrom *nystrom)
{
    struct attn_nystrom_layout *layout = &nystrom->layout;
    size_t n = nystrom->shape.window, d = nystrom->shape.head_dim, next = 0;
    layout->keys = after(&next, n * d);
    layout->values = after(&next, n * d);
    layout->fronts = after(&next, attn_fronts_floats(&nystrom->fronts));
    layout->remainder = after(&next, attn_remainder_floats(&nystrom->remainder));
    layout->query = after(&next, d);
    layout->landmarks = after(&next, nystrom->landmarks.head_floats);
    layout->head = next;
}

int attn_nystrom_init(struct attn_nystrom *nystrom, const struct attn_options *options, const struct attn_shape *shape,
                      struct attn_run *run)
{
    nystrom->shape = *shape;
    int error = attn_landmarks_init(&nystrom->landmarks, options, shape, run);
    const struct attn_landmarks *landmarks = &nystrom->landmarks;
    /* With a single segment the frames to be prepared for would be those that just arrive. */
    bool whole = landmarks->segments.count == 1 && shape->window > 1;
    nystrom->segments = whole ? attn_segments(shape->window, 2) : landmarks->segments;
    bool spread = landmarks->spread && nystrom->segments.count > 1;
    size_t lag = whole || (spread && !landmarks->fixed) ? 1 : 0;
    nystrom->fronts = attn_fronts(nystrom->segments, landmarks->count, shape->head_dim, spread, lag);
    nystrom->remainder = attn_remainder(nystrom->segments, landmarks->count, shape->head_dim, spread);
    lay_out(nystrom);
    return error;
}

void attn_nystrom_done(struct attn_nystrom *nystrom)
{
    attn_landmarks_done(&nystrom->landmarks);
}

size_t attn_nystrom_state(const struct attn_nystrom *nystrom)
{
    return nystrom->shape.heads * nystrom->layout.head;
}

size_t attn_nystrom_scratch(const struct attn_nystrom *nystrom)
{
    size_t most = 0, m = nystrom->landmarks.count;
    const size_t needs[] = {
        attn_fronts_scratch(&nystrom->fronts),
        attn_remainder_scratch(&nystrom->remainder),
        attn_landmarks_scratch(&nystrom->landmarks),
        attn_exact_scratch(&nystrom->shape),
        m,
    };
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        most = needs[i] > most ? needs[i] : most;
    return (7 + ATTN_MAX_SOURCES + nystrom->shape.heads) * m + attn_remainder_most_rows(&nystrom->remainder) + most;
}

void attn_nystrom_reset(const struct attn_nystrom *nystrom, float *state)
{
    memset(state, 0, attn_nystrom_state(nystrom) * sizeof(float));
    for (size_t h = 0; h < nystrom->shape.heads; h++) {
        struct head head;
        find_head(nystrom, &head, state, h, false);
        attn_fronts_clear(&nystrom->fronts, head.fronts);
        attn_remainder_clear(&nystrom->remainder, head.remainder);
    }
}

/* What the landmarks that flip when the open segment closes are scanned with. */
static struct attn_fronts_source fronts_source(const struct attn_nystrom *nystrom, const struct attn_place *place,
                                               const struct head *head, size_t h)
{
    const struct attn_landmarks *landmarks = &nystrom->landmarks;
    size_t first = attn_fronts_flipping(&nystrom->fronts, place->segment).first;
    return (struct attn_fronts_source){
        .q = landmarks->fixed ? landmarks->own.q + (h * landmarks->count + first) * nystrom->shape.head_dim
                              : head->landmarks.pending_q,
        .keys = head->keys,
        .values = head->values,
    };
}

static struct attn_remainder_source remainder_source(const struct attn_nystrom *nystrom, const struct attn_place *place,
                                                     const struct head *head)
{
    struct attn_fronts_group group = attn_fronts_flipping(&nystrom->fronts, place->segment);
    bool enters = nystrom->fronts.spread && !nystrom->landmarks.fixed && group.first < group.end;
    return (struct attn_remainder_source){
        .q_by_d = head->landmarks.q_by_d,
        .entering_q = enters ? head->landmarks.pending_q : NULL,
        .entering = group.first,
        .keys = head->keys,
        .values = head->values,
    };
}

/* The rings and the means take in the frame. */
static void take_in(const struct attn_nystrom *nystrom, struct attn_run *run, const struct moment *moment,
                    const struct head *head, const float *qkv)
{
    size_t d = nystrom->shape.head_dim, model_dim = nystrom->shape.heads * d, slot = moment->place.slot;
    memcpy(head->query, qkv, d * sizeof(float));
    memcpy(head->keys + slot * d, qkv + model_dim, d * sizeof(float));
    memcpy(head->values + slot * d, qkv + 2 * model_dim, d * sizeof(float));
    attn_run_count(run, 0, 6 * d);
    attn_landmarks_gather(&nystrom->landmarks, run, &moment->of_landmarks, &head->landmarks, qkv, qkv + model_dim);
}

/* The frame joins every back: offsets and sums here, the vectors where they are extended. */
static void admit(const struct attn_nystrom *nystrom, struct attn_run *run, const struct attn_place *place,
                  const struct head *head, const struct work *work)
{
    size_t m = nystrom->landmarks.count, d = nystrom->shape.head_dim;
    struct attn_aggregates back = attn_fronts_back(&nystrom->fronts, head->fronts);
    attn_run_logits_by_d(run, d, m, work->logits, head->keys + place->slot * d, head->landmarks.q_by_d);
    run->kernels->admit(m, back.offset, back.sum, work->rescale, work->weight, work->logits);
    attn_run_count(run, 2 * m, 7 * m);
}

/* Logits of β of one head. */
static void compare(const struct attn_nystrom *nystrom, struct attn_run *run, const struct moment *moment,
                    const struct head *head, float *logits)
{
    attn_landmarks_compare(&nystrom->landmarks, run, &moment->now, &head->landmarks, head->query, logits);
}

/* β[H×m]: softened for all heads together, since each of them is short. */
static void take_beta(const struct attn_nystrom *nystrom, struct attn_run *run, const struct moment *moment,
                      float *state, const struct work *work)
{
    size_t heads = nystrom->shape.heads, m = nystrom->landmarks.count;
    for (size_t h = 0; h < heads; h++) {
        struct head head;
        find_head(nystrom, &head, state, h, moment->odd_after);
        compare(nystrom, run, moment, &head, work->beta + h * m);
    }
    attn_run_softmax2(run, heads, m, work->beta);
}

/* Spread: this frame's share of what the next closing needs. */
static void prepare(const struct attn_nystrom *nystrom, struct attn_run *run, const struct attn_place *place,
                    const struct head *head, size_t h, const struct work *work)
{
    struct attn_fronts_source for_fronts = fronts_source(nystrom, place, head, h);
    struct attn_remainder_source for_remainder = remainder_source(nystrom, place, head);
    attn_fronts_go_on(&nystrom->fronts, run, place, head->fronts, &for_fronts, work->rest);
    attn_remainder_prepare(&nystrom->remainder, run, place, head->remainder, &for_remainder, work->rest);
}

/* How much each part of the window has in o_t: β g(Γ), shared out over the front, the back and the remainder. */
static void share_out(const struct attn_nystrom *nystrom, struct attn_run *run, const struct head *head,
                      const float *beta, const struct attn_aggregates sources[static ATTN_MAX_SOURCES],
                      const struct attn_remainder_now *rest, const struct work *work)
{
    size_t m = nystrom->landmarks.count;
    attn_landmarks_weigh(&nystrom->landmarks, run, &head->landmarks, beta, work->w);
    struct attn_reading reading = {
        .m = m,
        .n_rows = rest->n_rows,
        .n_sources = rest->has_later ? 3 : 2,
        .w = work->w,
        .logits = head->remainder + rest->logits,
        .row_weight = work->row_weight,
        .work = work->shares,
    };
    for (size_t s = 0; s < reading.n_sources; s++) {
        reading.offset[s] = sources[s].offset;
        reading.sum[s] = sources[s].sum;
        reading.source_weight[s] = work->source_weight[s];
    }
    run->kernels->shares(&reading);
    attn_run_count(run, (reading.n_sources + rest->n_rows) * m, (2 * rest->n_rows + 3 * reading.n_sources + 4) * m);
}

/* o_t[d] of one head. With `extend` the vectors of the back take in the frame on the way. */
static void attend(const struct attn_nystrom *nystrom, struct attn_run *run, const struct moment *moment,
                   const struct head *head, const float *beta, bool extend, float *output, const struct work *work)
{
    size_t m = nystrom->landmarks.count, d = nystrom->shape.head_dim;
    const struct attn_remainder_now *rest = &moment->rest;
    const struct attn_aggregates sources[ATTN_MAX_SOURCES] = {
        [BACK] = attn_fronts_back(&nystrom->fronts, head->fronts),
        [FRONT] = attn_fronts_front(&nystrom->fronts, head->fronts, moment->open),
        [LATER] = attn_aggregates_at(head->remainder + (rest->has_later ? rest->later : 0), m),
    };
    share_out(nystrom, run, head, beta, sources, rest, work);
    struct attn_parts parts = {
        .n_sources = rest->has_later ? 2 : 1,
        .source_weight = {work->source_weight[FRONT], work->source_weight[LATER]},
        .source = {sources[FRONT].vector, sources[LATER].vector},
        .n_rows = rest->n_rows,
        .row_weight = work->row_weight,
        .rows = head->values + rest->slot * d,
        .newest_weight = work->source_weight[BACK],
        .newest = sources[BACK].vector,
        .rescale = extend ? work->rescale : NULL,
        .weight = work->weight,
        .value = head->values + moment->place.slot * d,
    };
    attn_run_read_out(run, m, d, output, &parts);
}

static void extend_back(const struct attn_nystrom *nystrom, struct attn_run *run, const struct attn_place *place,
                        const struct head *head, const struct work *work)
{
    size_t m = nystrom->landmarks.count, d = nystrom->shape.head_dim;
    struct attn_aggregates back = attn_fronts_back(&nystrom->fronts, head->fronts);
    attn_run_extend(run, m, d, back.vector, work->rescale, work->weight, head->values + place->slot * d);
}

/* The frame has closed its segment: what one head gets anew, all but g(Γ). */
static void close_segment(const struct attn_nystrom *nystrom, struct attn_run *run, const struct moment *moment,
                          const struct head *head, size_t h, const struct work *work)
{
    const struct attn_place *place = &moment->place;
    if (moment->of_landmarks.closes)
        attn_landmarks_close(&nystrom->landmarks, run, &moment->of_landmarks, &head->landmarks, work->rest);
    struct attn_fronts_source for_fronts = fronts_source(nystrom, place, head, h);
    struct attn_remainder_source for_remainder = remainder_source(nystrom, place, head);
    attn_fronts_flip(&nystrom->fronts, run, place, head->fronts, &for_fronts, work->rest);
    if (!nystrom->fronts.spread)
        attn_remainder_prepare(&nystrom->remainder, run, place, head->remainder, &for_remainder, work->rest);
}

/* g(Γ) of all heads, or the share of this frame. */
static void refresh(const struct attn_nystrom *nystrom, struct attn_run *run, const struct moment *moment, float *state,
                    const struct work *work)
{
    attn_landmarks_refresh(&nystrom->landmarks, run, &moment->of_landmarks, state + nystrom->layout.landmarks,
                           nystrom->layout.head, work->rest);
}

static void settle(const struct attn_nystrom *nystrom, struct attn_run *run, const struct attn_place *place,
                   float *state)
{
    for (size_t h = 0; h < nystrom->shape.heads; h++)
        attn_fronts_settle(&nystrom->fronts, run, place, state + h * nystrom->layout.head + nystrom->layout.fronts);
}

void attn_nystrom_read(const struct attn_nystrom *nystrom, struct attn_run *run, float *state, struct attn_when when,
                       size_t h, float *output, float *scratch)
{
    struct moment moment = moment_of(nystrom, when);
    struct work work = work_of(nystrom, scratch);
    struct head head;
    find_head(nystrom, &head, state, h, moment.odd_after);
    if (moment.now.count == 0) {
        attn_exact_attend(&nystrom->shape, run, when, head.keys, head.values, head.query, output, work.rest);
        return;
    }
    compare(nystrom, run, &moment, &head, work.beta);
    attn_run_softmax2(run, 1, nystrom->landmarks.count, work.beta);
    attend(nystrom, run, &moment, &head, work.beta, false, output, &work);
}

/* The outputs [H][d] of a frame that has closed a segment, or that came before there was a landmark. */
static void read_heads(const struct attn_nystrom *nystrom, struct attn_run *run, const struct moment *moment,
                       float *state, float *output, const struct work *work)
{
    size_t d = nystrom->shape.head_dim, m = nystrom->landmarks.count;
    if (moment->now.count > 0)
        take_beta(nystrom, run, moment, state, work);
    for (size_t h = 0; h < nystrom->shape.heads; h++) {
        struct head head;
        find_head(nystrom, &head, state, h, moment->odd_after);
        if (moment->now.count > 0)
            attend(nystrom, run, moment, &head, work->beta + h * m, false, output + h * d, work);
        else
            attn_exact_attend(&nystrom->shape, run, moment->place.when, head.keys, head.values, head.query,
                              output + h * d, work->rest);
    }
}

void attn_nystrom_step(const struct attn_nystrom *nystrom, struct attn_run *run, float *state, struct attn_when when,
                       const float *qkv, float *output, float *scratch)
{
    size_t heads = nystrom->shape.heads, d = nystrom->shape.head_dim, m = nystrom->landmarks.count;
    struct moment moment = moment_of(nystrom, when);
    struct work work = work_of(nystrom, scratch);
    bool read_on_the_way = output != NULL && !moment.place.closes && moment.now.count > 0;
    for (size_t h = 0; h < heads; h++) {
        struct head head;
        find_head(nystrom, &head, state, h, moment.odd_before);
        take_in(nystrom, run, &moment, &head, qkv + h * d);
    }
    if (read_on_the_way)
        take_beta(nystrom, run, &moment, state, &work);
    for (size_t h = 0; h < heads; h++) {
        struct head head;
        find_head(nystrom, &head, state, h, moment.odd_before);
        admit(nystrom, run, &moment.place, &head, &work);
        if (read_on_the_way)
            attend(nystrom, run, &moment, &head, work.beta + h * m, true, output + h * d, &work);
        else
            extend_back(nystrom, run, &moment.place, &head, &work);
        if (nystrom->fronts.spread)
            prepare(nystrom, run, &moment.place, &head, h, &work);
    }
    if (nystrom->landmarks.spread)
        refresh(nystrom, run, &moment, state, &work);
    for (size_t h = 0; moment.place.closes && h < heads; h++) {
        struct head head;
        find_head(nystrom, &head, state, h, moment.odd_before);
        close_segment(nystrom, run, &moment, &head, h, &work);
    }
    if (!nystrom->landmarks.spread)
        refresh(nystrom, run, &moment, state, &work);
    settle(nystrom, run, &moment.place, state);
    if (output != NULL && !read_on_the_way)
        read_heads(nystrom, run, &moment, state, output, &work);
}
