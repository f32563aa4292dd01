/* SPDX-License-Identifier: MIT */
/*
 * One step, for each head:
 *
 *     keep k_t and v_t; add q_t and k_t to the means of the open segment;
 *     ΔV takes in the frame;
 *     when t closes a segment: a new landmark, its row of Δ over the window, and g(Γ) again;
 *     o_t = β · g(Γ) · (ΔV).
 *
 * Landmark j is that of segment j, and stands there in every array: they are in the order of their slots, not of their
 * age, for β g(Γ) ΔV does not depend on the order. ΔV is in stacks.c. Everything is tied to the slots, so that the
 * state is a function of the newest n + ⌈n/m⌉ − 1 frames and the position.
 */
#include "nystrom.h"

#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"
#include "inverse.h"
#include "kernel.h"

/* Where position t stands. */
struct place {
    size_t slot;
    size_t segment;
    size_t n_rows;    /* |W_t| */
    size_t landmarks; /* |L_t|, or m where they are fixed */
    bool closes;      /* t is the last position of its segment */
};

/* The parts of one head's state, and its landmarks; what fixed landmarks do not have is NULL. */
struct head {
    float *keys, *values, *stacks, *q_sum, *k_sum, *q_landmarks, *k_landmarks, *logits, *inverse;
};

static bool is_fixed(const struct attn_nystrom *nystrom)
{
    return nystrom->q_landmarks != NULL;
}

static struct place place_of(const struct attn_nystrom *nystrom, uint64_t t)
{
    const struct attn_segments *segments = &nystrom->segments;
    struct place place = {.slot = (size_t)(t % segments->n)};
    place.segment = attn_segments_of(segments, place.slot);
    place.closes = place.slot + 1 == attn_segments_end(segments, place.segment);
    place.n_rows = t < segments->n ? place.slot + 1 : segments->n;
    place.landmarks = is_fixed(nystrom) ? nystrom->landmarks : attn_segments_closed(segments, t);
    return place;
}

static struct head head_of(const struct attn_nystrom *nystrom, float *state, size_t h)
{
    const struct attn_nystrom_layout *layout = &nystrom->layout;
    size_t m = nystrom->landmarks, d = nystrom->shape.head_dim;
    float *memory = state + h * layout->head;
    struct head head = {
        .keys = memory + layout->keys,
        .values = memory + layout->values,
        .stacks = memory + layout->stacks,
    };
    if (is_fixed(nystrom)) {
        head.q_landmarks = nystrom->q_landmarks + h * m * d;
        head.k_landmarks = nystrom->k_landmarks + h * m * d;
        head.inverse = nystrom->inverse + h * m * m;
        return head;
    }
    head.q_sum = memory + layout->q_sum;
    head.k_sum = memory + layout->k_sum;
    head.q_landmarks = memory + layout->q_landmarks;
    head.k_landmarks = memory + layout->k_landmarks;
    head.logits = memory + layout->logits;
    head.inverse = memory + layout->inverse;
    return head;
}

/* The next offset after an array of this many floats. */
static size_t after(size_t *next, size_t floats)
{
    size_t offset = *next;
    *next += (floats + 15) / 16 * 16;
    return offset;
}

static void lay_out(struct attn_nystrom *nystrom, bool fixed)
{
    struct attn_nystrom_layout *layout = &nystrom->layout;
    size_t n = nystrom->shape.window, m = nystrom->landmarks, d = nystrom->shape.head_dim;
    size_t next = 0;
    layout->keys = after(&next, n * d);
    layout->values = after(&next, n * d);
    layout->stacks = after(&next, attn_stacks_floats(&nystrom->stacks));
    if (!fixed) {
        layout->q_sum = after(&next, d);
        layout->k_sum = after(&next, d);
        layout->q_landmarks = after(&next, m * d);
        layout->k_landmarks = after(&next, m * d);
        layout->logits = after(&next, m * m);
        layout->inverse = after(&next, m * m);
    }
    layout->head = next;
}

/* Copies fixed landmarks and computes their g(Γ). */
static int fix_landmarks(struct attn_nystrom *nystrom, const float *q_landmarks, const float *k_landmarks)
{
    size_t heads = nystrom->shape.heads, m = nystrom->landmarks, d = nystrom->shape.head_dim;
    nystrom->q_landmarks = malloc(heads * m * d * sizeof(float));
    nystrom->k_landmarks = malloc(heads * m * d * sizeof(float));
    nystrom->inverse = malloc(heads * m * m * sizeof(float));
    float *work = malloc(attn_inverse_work(m) * sizeof(float));
    if (nystrom->q_landmarks == NULL || nystrom->k_landmarks == NULL || nystrom->inverse == NULL || work == NULL) {
        free(work);
        return ATTN_E_MEMORY;
    }
    attn_kernel_scale(nystrom->q_landmarks, q_landmarks, nystrom->shape.scale, heads * m * d);
    memcpy(nystrom->k_landmarks, k_landmarks, heads * m * d * sizeof(float));
    for (size_t row = 0; row < heads * m; row++)
        attn_kernel_logits(nystrom->inverse + row * m, nystrom->q_landmarks + row * d,
                           nystrom->k_landmarks + row / m * m * d, m, d);
    attn_inverse_heads(nystrom->inverse, heads, m * m, m, nystrom->share_norms, work);
    free(work);
    return 0;
}

int attn_nystrom_init(struct attn_nystrom *nystrom, const struct attn_shape *shape, size_t landmarks, bool share_norms,
                      const float *q_landmarks, const float *k_landmarks)
{
    size_t count = landmarks < shape->window ? landmarks : shape->window;
    *nystrom = (struct attn_nystrom){
        .shape = *shape,
        .segments = attn_segments(shape->window, count),
        .stacks = attn_stacks(attn_segments(shape->window, count), landmarks, shape->head_dim),
        .landmarks = landmarks,
        .share_norms = share_norms,
    };
    lay_out(nystrom, q_landmarks != NULL);
    return q_landmarks == NULL ? 0 : fix_landmarks(nystrom, q_landmarks, k_landmarks);
}

void attn_nystrom_done(struct attn_nystrom *nystrom)
{
    free(nystrom->q_landmarks);
    free(nystrom->k_landmarks);
    free(nystrom->inverse);
}

size_t attn_nystrom_state(const struct attn_nystrom *nystrom)
{
    return nystrom->shape.heads * nystrom->layout.head;
}

/* The largest of: the scan's logits or β and the weights of the stacks; exact attention before the first landmark; g.
 */
size_t attn_nystrom_scratch(const struct attn_nystrom *nystrom)
{
    size_t m = nystrom->landmarks;
    size_t needs[] = {
        attn_stacks_scratch(&nystrom->stacks),
        4 * m + nystrom->shape.head_dim * 2,
        attn_exact_scratch(&nystrom->shape),
        attn_inverse_work(m),
    };
    size_t most = 0;
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        most = needs[i] > most ? needs[i] : most;
    return most;
}

void attn_nystrom_reset(const struct attn_nystrom *nystrom, float *state)
{
    memset(state, 0, attn_nystrom_state(nystrom) * sizeof(float));
    for (size_t h = 0; h < nystrom->shape.heads; h++)
        attn_stacks_clear(&nystrom->stacks, head_of(nystrom, state, h).stacks);
}

/* sum[d] += x[d], from zero at the first slot of a segment */
static void gather(float *sum, const float *x, bool first, size_t d)
{
    if (first)
        memcpy(sum, x, d * sizeof(float));
    else
        attn_kernel_add(sum, x, d);
}

/* The landmark of the segment that closes here, (q̃, k̃), and its row and column of Γ's logits. */
static void close_segment(const struct attn_nystrom *nystrom, struct place place, const struct head *head,
                          float *column)
{
    size_t m = nystrom->landmarks, d = nystrom->shape.head_dim, j = place.segment;
    const struct attn_segments *segments = &nystrom->segments;
    float share = 1.0f / (float)(attn_segments_end(segments, j) - attn_segments_start(segments, j));
    attn_kernel_scale(head->q_landmarks + j * d, head->q_sum, share * nystrom->shape.scale, d);
    attn_kernel_scale(head->k_landmarks + j * d, head->k_sum, share, d);
    attn_kernel_logits(head->logits + j * m, head->q_landmarks + j * d, head->k_landmarks, m, d);
    attn_kernel_logits(column, head->k_landmarks + j * d, head->q_landmarks, m, d);
    for (size_t i = 0; i < m; i++)
        head->logits[i * m + j] = column[i];
}

/* g(Γ) of every head from its logits. */
static void refresh_inverse(const struct attn_nystrom *nystrom, float *state, size_t c, float *scratch)
{
    const struct attn_nystrom_layout *layout = &nystrom->layout;
    size_t m = nystrom->landmarks;
    for (size_t h = 0; h < nystrom->shape.heads; h++) {
        struct head head = head_of(nystrom, state, h);
        for (size_t i = 0; i < c; i++)
            memcpy(head.inverse + i * c, head.logits + i * m, c * sizeof(float));
    }
    attn_inverse_heads(state + layout->inverse, nystrom->shape.heads, layout->head, c, nystrom->share_norms, scratch);
}

/* The state of one head takes in the frame: all but g(Γ). */
static void take_in(const struct attn_nystrom *nystrom, struct place place, const struct head *head, const float *qkv,
                    float *scratch)
{
    size_t d = nystrom->shape.head_dim, model_dim = nystrom->shape.heads * d;
    const struct attn_segments *segments = &nystrom->segments;
    struct attn_stacks_source source = {head->q_landmarks, head->keys, head->values, place.n_rows};
    memcpy(head->keys + place.slot * d, qkv + model_dim, d * sizeof(float));
    memcpy(head->values + place.slot * d, qkv + 2 * model_dim, d * sizeof(float));
    attn_stacks_extend(&nystrom->stacks, head->stacks, &source, place.slot, scratch);
    if (!is_fixed(nystrom)) {
        bool first = place.slot == attn_segments_start(segments, place.segment);
        gather(head->q_sum, qkv, first, d);
        gather(head->k_sum, qkv + model_dim, first, d);
        if (place.closes)
            close_segment(nystrom, place, head, scratch);
    }
    if (place.closes) {
        attn_stacks_flip(&nystrom->stacks, head->stacks, &source, place.segment, scratch);
        attn_stacks_expand(&nystrom->stacks, head->stacks, &source, attn_segments_next(segments, place.segment),
                           scratch);
    }
}

/* o_t[d] = β[1×c] · g(Γ)[c×c] · (ΔV)[c×d], ΔV being the front and the back of the stacks merged. */
static void attend(const struct attn_nystrom *nystrom, struct place place, const struct head *head, const float *q,
                   float *output, float *scratch)
{
    size_t m = nystrom->landmarks, c = place.landmarks, d = nystrom->shape.head_dim;
    float *beta = scratch, *weights = beta + m, *on_front = weights + m, *on_back = on_front + m;
    float *scaled_q = on_back + m, *of_front = scaled_q + d;
    struct attn_aggregates front = attn_stacks_front(&nystrom->stacks, head->stacks, place.segment, place.slot);
    struct attn_aggregates back = attn_stacks_back(&nystrom->stacks, head->stacks);
    attn_kernel_scale(scaled_q, q, nystrom->shape.scale, d);
    attn_kernel_logits(beta, scaled_q, head->k_landmarks, c, d);
    attn_kernel_softmax(beta, c);
    attn_kernel_combine(weights, beta, head->inverse, c, c);
    attn_aggregates_weigh(on_front, on_back, weights, front, back, c);
    attn_kernel_combine(of_front, on_front, front.vector, c, d);
    attn_kernel_combine(output, on_back, back.vector, c, d);
    attn_kernel_add(output, of_front, d);
}

/* Exact attention over W_t, for there is no landmark yet. */
static void attend_exactly(const struct attn_nystrom *nystrom, struct place place, const struct head *head,
                           const float *q, float *output, float *scratch)
{
    size_t d = nystrom->shape.head_dim;
    attn_kernel_scale(scratch, q, nystrom->shape.scale, d);
    attn_exact_attend(output, scratch, head->keys, head->values, place.n_rows, d, scratch + d);
}

void attn_nystrom_step(const struct attn_nystrom *nystrom, float *state, uint64_t t, const float *qkv, float *output,
                       float *scratch)
{
    size_t heads = nystrom->shape.heads, d = nystrom->shape.head_dim;
    struct place place = place_of(nystrom, t);
    for (size_t h = 0; h < heads; h++) {
        struct head head = head_of(nystrom, state, h);
        take_in(nystrom, place, &head, qkv + h * d, scratch);
    }
    if (place.closes && !is_fixed(nystrom))
        refresh_inverse(nystrom, state, place.landmarks, scratch);
    for (size_t h = 0; output != NULL && h < heads; h++) {
        struct head head = head_of(nystrom, state, h);
        if (place.landmarks == 0)
            attend_exactly(nystrom, place, &head, qkv + h * d, output + h * d, scratch);
        else
            attend(nystrom, place, &head, qkv + h * d, output + h * d, scratch);
    }
}
