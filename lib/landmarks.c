/* SPDX-License-Identifier: MIT */
/*
 * A place is valid when the landmark of its segment is in L_t. Landmarks enter in the order of their segments, so the
 * valid places are an arc of the circle that ends at the newest; whatever stands elsewhere is left as it is, and masked
 * where it is used. Γ is kept as logits, of which a new landmark changes one row and one column.
 */
#include "landmarks.h"

#include <stdlib.h>
#include <string.h>

static bool in_arc(const struct attn_arc *arc, size_t j)
{
    return (arc->newest + arc->m - j) % arc->m < arc->count;
}

static size_t at_most(uint64_t n, size_t m)
{
    return n < m ? (size_t)n : m;
}

/* Arrays begin on cache lines where the memory does. */
static size_t padded(size_t n_floats)
{
    return (n_floats + 15) / 16 * 16;
}

/* L_t. */
struct attn_arc attn_landmarks_now(const struct attn_landmarks *landmarks, const struct attn_place *place)
{
    const struct attn_segments *segments = &landmarks->segments;
    size_t m = landmarks->count;
    if (landmarks->fixed)
        return (struct attn_arc){.m = m, .count = m};
    uint64_t closed = attn_place_closed(segments, place);
    size_t newest = place->closes ? place->segment : attn_segments_before(segments, place->segment);
    if (landmarks->spread) {
        newest = attn_segments_before(segments, newest);
        closed -= closed > 0;
    }
    return (struct attn_arc){.m = m, .newest = newest, .count = at_most(closed, m)};
}

/* The landmarks whose g(Γ) is being made: those of now (immediate), or those when the open segment closes (spread). */
static struct attn_arc arc_in_work(const struct attn_landmarks *landmarks, const struct attn_place *place)
{
    if (!landmarks->spread)
        return attn_landmarks_now(landmarks, place);
    const struct attn_segments *segments = &landmarks->segments;
    uint64_t closed = attn_place_closed(segments, place);
    closed -= place->closes && closed > 0;
    return (struct attn_arc){.m = landmarks->count,
                             .newest = attn_segments_before(segments, place->segment),
                             .count = at_most(closed, landmarks->count)};
}

void attn_landmarks_mask(const struct attn_arc *arc, float *logits)
{
    for (size_t j = 0; arc->count < arc->m && j < arc->m; j++)
        if (!in_arc(arc, j))
            logits[j] = ATTN_EMPTY_OFFSET;
}

/* Copies fixed landmarks and computes their g(Γ). */
static int fix(struct attn_landmarks *landmarks, const struct attn_options *options, struct attn_run *run)
{
    size_t heads = landmarks->shape.heads, m = landmarks->count, d = landmarks->shape.head_dim;
    size_t n_floats = heads * m * d;
    float *work = malloc(attn_inverse_work(m) * sizeof(float));
    landmarks->own.q = malloc(n_floats * sizeof(float));
    landmarks->own.q_by_d = malloc(n_floats * sizeof(float));
    landmarks->own.k_by_d = malloc(n_floats * sizeof(float));
    landmarks->own.inverse = malloc(heads * m * m * sizeof(float));
    if (work == NULL || landmarks->own.q == NULL || landmarks->own.q_by_d == NULL || landmarks->own.k_by_d == NULL ||
        landmarks->own.inverse == NULL) {
        free(work);
        return ATTN_E_MEMORY;
    }
    run->kernels->scale(n_floats, landmarks->own.q, landmarks->shape.scale, options->q_landmarks);
    for (size_t h = 0; h < heads; h++) {
        const float *q = landmarks->own.q + h * m * d, *k = options->k_landmarks + h * m * d;
        run->kernels->transpose(m, d, landmarks->own.q_by_d + h * m * d, 1.0f, q);
        run->kernels->transpose(m, d, landmarks->own.k_by_d + h * m * d, landmarks->shape.scale, k);
        for (size_t i = 0; i < m; i++)
            run->kernels->logits(m, d, landmarks->own.inverse + (h * m + i) * m, k, q + i * d);
    }
    attn_inverse_heads(run, landmarks->own.inverse, heads, m * m, m, landmarks->share_norms, work);
    free(work);
    return 0;
}

int attn_landmarks_init(struct attn_landmarks *landmarks, const struct attn_options *options,
                        const struct attn_shape *shape, struct attn_run *run)
{
    size_t count = options->landmarks < shape->window ? options->landmarks : shape->window;
    *landmarks = (struct attn_landmarks){
        .shape = *shape,
        .segments = attn_segments(shape->window, count),
        .count = options->landmarks,
        .share_norms = options->inverse_scale == ATTN_INVERSE_HEADS,
        .spread = options->refresh == ATTN_REFRESH_SPREAD,
        .fixed = options->landmark_policy == ATTN_LANDMARKS_FIXED,
    };
    if (landmarks->fixed)
        return fix(landmarks, options, run);
    size_t m = landmarks->count, n_squares = landmarks->spread ? 3 + 4 : 2;
    landmarks->head_floats = 2 * padded(m * shape->head_dim) + n_squares * padded(m * m) + 4 * padded(shape->head_dim);
    return 0;
}

void attn_landmarks_done(struct attn_landmarks *landmarks)
{
    free(landmarks->own.q);
    free(landmarks->own.q_by_d);
    free(landmarks->own.k_by_d);
    free(landmarks->own.inverse);
}

size_t attn_landmarks_scratch(const struct attn_landmarks *landmarks)
{
    size_t m = landmarks->count;
    return attn_inverse_work(m) > 2 * m ? attn_inverse_work(m) : 2 * m;
}

bool attn_landmarks_odd(const struct attn_landmarks *landmarks, const struct attn_place *place, bool after)
{
    uint64_t closed = place->lap * landmarks->segments.count + place->segment + (after && place->closes);
    return landmarks->spread && closed % 2 != 0;
}

void attn_landmarks_find(const struct attn_landmarks *landmarks, struct attn_landmarks_head *head, float *memory,
                         size_t h, bool odd)
{
    size_t m = landmarks->count, d = landmarks->shape.head_dim;
    if (landmarks->fixed) {
        *head = (struct attn_landmarks_head){0};
        head->q_by_d = landmarks->own.q_by_d + h * m * d;
        head->k_by_d = landmarks->own.k_by_d + h * m * d;
        head->inverse = landmarks->own.inverse + h * m * m;
        return;
    }
    size_t vectors = padded(m * d), vector = padded(d), square = padded(m * m);
    float *sums = memory + 2 * vectors, *logits = sums + 4 * vector, *inverses = logits + square;
    head->q_by_d = memory;
    head->k_by_d = memory + vectors;
    head->q_sum = sums;
    head->k_sum = sums + vector;
    head->pending_q = sums + 2 * vector;
    head->pending_k = sums + 3 * vector;
    head->logits = logits;
    head->inverse = inverses + (odd ? square : 0);
    head->gamma = NULL;
    head->work = (struct attn_inverse_matrices){0};
    if (landmarks->spread) {
        head->gamma = inverses + 2 * square;
        head->work = attn_inverse_matrices(inverses + (odd ? 0 : square), inverses + 3 * square, m);
    }
}

/* sum[d] += x[d], from zero at the first slot of a segment */
static void gather(struct attn_run *run, float *sum, const float *x, bool first, size_t d)
{
    if (first)
        memcpy(sum, x, d * sizeof(float));
    else
        run->kernels->add(d, sum, x);
    attn_run_count(run, first ? 0 : d, 3 * d);
}

void attn_landmarks_gather(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_place *place,
                           const struct attn_landmarks_head *head, const float *q, const float *k)
{
    if (landmarks->fixed)
        return;
    gather(run, head->q_sum, q, place->row == 0, landmarks->shape.head_dim);
    gather(run, head->k_sum, k, place->row == 0, landmarks->shape.head_dim);
}

/* The pending landmark becomes that of place j. */
static void enter(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_landmarks_head *head,
                  size_t j)
{
    size_t m = landmarks->count, d = landmarks->shape.head_dim;
    for (size_t k = 0; k < d; k++) {
        head->q_by_d[k * m + j] = head->pending_q[k];
        head->k_by_d[k * m + j] = head->pending_k[k];
    }
    attn_run_count(run, 0, 4 * d);
}

/* (q̃, k̃) of the segment that closes here. */
static void average(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_place *place,
                    const struct attn_landmarks_head *head)
{
    size_t d = landmarks->shape.head_dim;
    float share = 1.0f / (float)place->length;
    run->kernels->scale(d, head->q_sum, share, head->q_sum);
    run->kernels->scale(d, head->k_sum, share, head->k_sum);
    run->kernels->scale(d, head->pending_q, landmarks->shape.scale, head->q_sum);
    run->kernels->scale(d, head->pending_k, landmarks->shape.scale, head->k_sum);
    attn_run_count(run, 4 * d, 8 * d);
}

/* Row and column j of Γ's logits, of the pending landmark and those in their places. */
static void connect(const struct attn_landmarks *landmarks, struct attn_run *run,
                    const struct attn_landmarks_head *head, size_t j, float *column)
{
    size_t m = landmarks->count, d = landmarks->shape.head_dim;
    attn_run_logits_by_d(run, d, m, head->logits + j * m, head->q_sum, head->k_by_d);
    attn_run_logits_by_d(run, d, m, column, head->k_sum, head->q_by_d);
    for (size_t i = 0; i < m; i++)
        head->logits[i * m + j] = i == j ? head->logits[i * m + j] : column[i];
    attn_run_logits(run, 1, d, head->logits + j * m + j, head->k_sum, head->pending_q);
}

void attn_landmarks_close(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_place *place,
                          const struct attn_landmarks_head *head, float *scratch)
{
    if (landmarks->fixed)
        return;
    if (landmarks->spread)
        enter(landmarks, run, head, attn_segments_before(&landmarks->segments, place->segment));
    average(landmarks, run, place, head);
    if (!landmarks->spread)
        enter(landmarks, run, head, place->segment);
    connect(landmarks, run, head, place->segment, scratch);
}

/* Γ[m×m] of the places in the arc from its logits; zeros elsewhere. */
static void take_gamma(struct attn_run *run, const struct attn_arc *arc, float *gamma, const float *logits)
{
    size_t m = arc->m;
    memcpy(gamma, logits, m * m * sizeof(float));
    for (size_t i = 0; arc->count < m && i < m; i++)
        attn_landmarks_mask(arc, gamma + i * m);
    attn_run_softmax2(run, m, m, gamma);
    for (size_t i = 0; arc->count < m && i < m; i++)
        if (!in_arc(arc, i))
            memset(gamma + i * m, 0, m * sizeof(float));
}

/* Γ and Z of one head where its norms are its own. */
static void start(struct attn_run *run, const struct attn_arc *arc, const struct attn_landmarks_head *head, float *work)
{
    take_gamma(run, arc, head->gamma, head->logits);
    attn_inverse_start(run, head->gamma, arc->m, attn_inverse_norms(run, head->gamma, arc->m, work), head->work.z);
}

/* The same for all heads where the norms are the largest of theirs. */
static void start_together(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_arc *arc,
                           bool odd, float *state, size_t stride, float *work)
{
    struct attn_norms largest = {0};
    for (size_t h = 0; h < landmarks->shape.heads; h++) {
        struct attn_landmarks_head head;
        attn_landmarks_find(landmarks, &head, state + h * stride, h, odd);
        take_gamma(run, arc, head.gamma, head.logits);
        largest = attn_inverse_larger(largest, attn_inverse_norms(run, head.gamma, arc->m, work));
    }
    for (size_t h = 0; h < landmarks->shape.heads; h++) {
        struct attn_landmarks_head head;
        attn_landmarks_find(landmarks, &head, state + h * stride, h, odd);
        attn_inverse_start(run, head.gamma, arc->m, largest, head.work.z);
    }
}

/* The share of this frame in the rows of products of all heads, one head after the other. */
static void go_on(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_place *place,
                  const struct attn_arc *arc, float *state, size_t stride, float *work)
{
    size_t m = landmarks->count, heads = landmarks->shape.heads;
    bool odd = attn_landmarks_odd(landmarks, place, false);
    uint64_t of_head = attn_inverse_n_rows(m);
    uint64_t first = place->row * of_head * heads / place->length;
    uint64_t end = (place->row + 1) * of_head * heads / place->length;
    if (place->row == 0 && landmarks->share_norms)
        start_together(landmarks, run, arc, odd, state, stride, work);
    for (size_t h = (size_t)(first / of_head); h < heads && h * of_head < end; h++) {
        struct attn_landmarks_head head;
        attn_landmarks_find(landmarks, &head, state + h * stride, h, odd);
        uint64_t from = first > h * of_head ? first - h * of_head : 0;
        uint64_t to = end - h * of_head < of_head ? end - h * of_head : of_head;
        if (from == 0 && !landmarks->share_norms)
            start(run, arc, &head, work);
        attn_inverse_rows(run, head.gamma, m, head.work, (size_t)from, (size_t)to);
    }
}

static void refresh_at_once(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_arc *arc,
                            float *state, size_t stride, float *work)
{
    size_t m = landmarks->count, heads = landmarks->shape.heads;
    struct attn_norms largest = {0};
    for (size_t h = 0; h < heads; h++) {
        struct attn_landmarks_head head;
        attn_landmarks_find(landmarks, &head, state + h * stride, h, false);
        take_gamma(run, arc, head.inverse, head.logits);
        if (landmarks->share_norms)
            largest = attn_inverse_larger(largest, attn_inverse_norms(run, head.inverse, m, work));
    }
    for (size_t h = 0; h < heads; h++) {
        struct attn_landmarks_head head;
        attn_landmarks_find(landmarks, &head, state + h * stride, h, false);
        float *gamma = head.inverse;
        struct attn_norms norms = landmarks->share_norms ? largest : attn_inverse_norms(run, gamma, m, work);
        attn_inverse_invert(run, gamma, m, norms, work);
    }
}

void attn_landmarks_refresh(const struct attn_landmarks *landmarks, struct attn_run *run,
                            const struct attn_place *place, float *state, size_t stride, float *scratch)
{
    struct attn_arc arc = arc_in_work(landmarks, place);
    if (landmarks->fixed || arc.count == 0)
        return;
    if (!landmarks->spread) {
        if (place->closes)
            refresh_at_once(landmarks, run, &arc, state, stride, scratch);
        return;
    }
    go_on(landmarks, run, place, &arc, state, stride, scratch);
}

void attn_landmarks_compare(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_arc *now,
                            const struct attn_landmarks_head *head, const float *q, float *logits)
{
    attn_run_logits_by_d(run, landmarks->shape.head_dim, landmarks->count, logits, q, head->k_by_d);
    attn_landmarks_mask(now, logits);
}

void attn_landmarks_weigh(const struct attn_landmarks *landmarks, struct attn_run *run,
                          const struct attn_landmarks_head *head, const float *beta, float *weights)
{
    size_t m = landmarks->count;
    attn_run_combine(run, m, m, weights, 0.0f, NULL, beta, head->inverse);
}
