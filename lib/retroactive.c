/* SPDX-License-Identifier: MIT */
/*
 * Every output of the window changes with every frame, so nothing is gained by sums that grow: the products are done
 * anew, from rings of q, k and v. Only the landmarks and their g(Γ) are kept, as for single outputs. The rows of the
 * window are copied out in the order of their age first, which costs little beside the products.
 */
#include "retroactive.h"

#include <string.h>

/* Matrices in the scratch memory, w rows or less for the window. */
struct work {
    float *queries, *keys, *values; /* [w][d] */
    float *rows;                    /* [w][d], one head's output */
    float *beta;                    /* [w][m] */
    float *delta;                   /* [m][w] */
    float *delta_v, *weighted;      /* [m][d] each */
    float *rest;
};

static struct work work_of(const struct attn_retroactive *retroactive, float *scratch)
{
    size_t n = retroactive->shape.window, d = retroactive->shape.head_dim, m = retroactive->landmarks.count;
    struct work work = {.queries = scratch};
    work.keys = work.queries + n * d;
    work.values = work.keys + n * d;
    work.rows = work.values + n * d;
    work.beta = work.rows + n * d;
    work.delta = work.beta + n * m;
    work.delta_v = work.delta + n * m;
    work.weighted = work.delta_v + m * d;
    work.rest = work.weighted + m * d;
    return work;
}

int attn_retroactive_init(struct attn_retroactive *retroactive, const struct attn_options *options,
                          const struct attn_shape *shape, bool exact, struct attn_run *run)
{
    *retroactive = (struct attn_retroactive){.shape = *shape, .exact = exact};
    int error = exact ? 0 : attn_landmarks_init(&retroactive->landmarks, options, shape, run);
    size_t rings = (3 * shape->window * shape->head_dim + 15) / 16 * 16;
    retroactive->head = rings + retroactive->landmarks.head_floats;
    return error;
}

void attn_retroactive_done(struct attn_retroactive *retroactive)
{
    attn_landmarks_done(&retroactive->landmarks);
}

size_t attn_retroactive_state(const struct attn_retroactive *retroactive)
{
    return retroactive->shape.heads * retroactive->head;
}

size_t attn_retroactive_scratch(const struct attn_retroactive *retroactive)
{
    size_t n = retroactive->shape.window, d = retroactive->shape.head_dim, m = retroactive->landmarks.count;
    size_t rest = attn_exact_scratch(&retroactive->shape);
    if (!retroactive->exact && attn_landmarks_scratch(&retroactive->landmarks) > rest)
        rest = attn_landmarks_scratch(&retroactive->landmarks);
    return 4 * n * d + 2 * n * m + 2 * m * d + rest;
}

struct attn_retroactive_head attn_retroactive_at(const struct attn_retroactive *retroactive, float *state, size_t h,
                                                 bool odd)
{
    size_t ring = retroactive->shape.window * retroactive->shape.head_dim;
    float *memory = state + h * retroactive->head;
    struct attn_retroactive_head head = {memory, memory + ring, memory + 2 * ring, {0}};
    if (!retroactive->exact)
        attn_landmarks_find(&retroactive->landmarks, &head.landmarks, memory + (3 * ring + 15) / 16 * 16, h, odd);
    return head;
}

/* rows[w][d] of a ring, oldest first. */
static void unroll(const struct attn_retroactive *retroactive, struct attn_when when, float *rows, const float *ring)
{
    size_t n = retroactive->shape.window, d = retroactive->shape.head_dim, w = attn_when_rows(when, n);
    size_t oldest = (size_t)((when.t - (w - 1)) % n), n_first = n - oldest < w ? n - oldest : w;
    memcpy(rows, ring + oldest * d, n_first * d * sizeof(float));
    memcpy(rows + n_first * d, ring, (w - n_first) * d * sizeof(float));
}

/* rows[w][d] = softmax of ℓ(q_i, k_j) · v, for every i in the window */
static void read_exactly(const struct attn_retroactive *retroactive, struct attn_run *run, struct attn_when when,
                         const struct attn_retroactive_head *head, float *rows, const struct work *work)
{
    size_t d = retroactive->shape.head_dim, w = attn_when_rows(when, retroactive->shape.window);
    unroll(retroactive, when, work->queries, head->queries);
    for (size_t i = 0; i < w; i++)
        attn_exact_attend(&retroactive->shape, run, when, head->keys, head->values, work->queries + i * d, rows + i * d,
                          work->rest);
}

/* Δ[m×w], the rows of places without a landmark being 0. */
static void take_delta(const struct attn_retroactive *retroactive, struct attn_run *run, const struct attn_arc *now,
                       const struct attn_retroactive_head *head, size_t w, const struct work *work)
{
    size_t m = retroactive->landmarks.count, d = retroactive->shape.head_dim;
    attn_run_product(run, w, d, m, work->beta, 1.0f, work->keys, head->landmarks.q_by_d);
    run->kernels->clamp(w * m, work->beta);
    run->kernels->transpose(w, m, work->delta, 1.0f, work->beta);
    memset(work->rest, 0, m * sizeof(float));
    attn_landmarks_mask(now, work->rest);
    attn_run_softmax2(run, m, w, work->delta);
    for (size_t j = 0; j < m; j++)
        if (work->rest[j] != 0.0f)
            memset(work->delta + j * w, 0, w * sizeof(float));
}

/* rows[w][d] = β[w×m] · (g(Γ)[m×m] · (Δ[m×w] · V[w×d])) */
static void read_nystrom(const struct attn_retroactive *retroactive, struct attn_run *run, struct attn_when when,
                         const struct attn_arc *now, const struct attn_retroactive_head *head, float *rows,
                         const struct work *work)
{
    size_t n = retroactive->shape.window, d = retroactive->shape.head_dim, m = retroactive->landmarks.count;
    size_t w = attn_when_rows(when, n);
    unroll(retroactive, when, work->queries, head->queries);
    unroll(retroactive, when, work->keys, head->keys);
    unroll(retroactive, when, work->values, head->values);
    take_delta(retroactive, run, now, head, w, work);
    attn_run_product(run, m, w, d, work->delta_v, 1.0f, work->delta, work->values);
    attn_run_product(run, m, m, d, work->weighted, 1.0f, head->landmarks.inverse, work->delta_v);
    attn_run_product(run, w, d, m, work->beta, 1.0f, work->queries, head->landmarks.k_by_d);
    run->kernels->clamp(w * m, work->beta);
    for (size_t i = 0; i < w; i++)
        attn_landmarks_mask(now, work->beta + i * m);
    attn_run_softmax2(run, w, m, work->beta);
    attn_run_product(run, w, m, d, rows, 1.0f, work->beta, work->weighted);
}

void attn_retroactive_read(const struct attn_retroactive *retroactive, struct attn_run *run, float *state,
                           struct attn_when when, size_t h, float *rows, float *scratch)
{
    struct attn_retroactive_head head = attn_retroactive_at(retroactive, state, h, false);
    struct work work = work_of(retroactive, scratch);
    if (!retroactive->exact) {
        struct attn_place place = attn_place_of(&retroactive->landmarks.segments, when);
        head = attn_retroactive_at(retroactive, state, h, attn_landmarks_odd(&retroactive->landmarks, &place, true));
        struct attn_arc now = attn_landmarks_now(&retroactive->landmarks, &place);
        if (now.count > 0) {
            read_nystrom(retroactive, run, when, &now, &head, rows, &work);
            return;
        }
    }
    read_exactly(retroactive, run, when, &head, rows, &work);
}

/* The rings take in the frame, and the means of the open segment. */
static void take_in(const struct attn_retroactive *retroactive, struct attn_run *run, struct attn_when when,
                    const struct attn_retroactive_head *head, const float *qkv)
{
    size_t d = retroactive->shape.head_dim, model_dim = retroactive->shape.heads * d;
    size_t slot = (size_t)(when.t % retroactive->shape.window);
    memcpy(head->queries + slot * d, qkv, d * sizeof(float));
    memcpy(head->keys + slot * d, qkv + model_dim, d * sizeof(float));
    memcpy(head->values + slot * d, qkv + 2 * model_dim, d * sizeof(float));
    attn_run_count(run, 0, 6 * d);
    if (retroactive->exact)
        return;
    struct attn_place place = attn_place_of(&retroactive->landmarks.segments, when);
    attn_landmarks_gather(&retroactive->landmarks, run, &place, &head->landmarks, qkv, qkv + model_dim);
}

/* The landmarks of all heads, and their g(Γ). */
static void refresh(const struct attn_retroactive *retroactive, struct attn_run *run, float *state,
                    struct attn_when when, float *scratch)
{
    const struct attn_landmarks *landmarks = &retroactive->landmarks;
    struct attn_place place = attn_place_of(&landmarks->segments, when);
    size_t heads = retroactive->shape.heads, stride = retroactive->head, offset = stride - landmarks->head_floats;
    if (landmarks->spread)
        attn_landmarks_refresh(landmarks, run, &place, state + offset, stride, scratch);
    for (size_t h = 0; place.closes && h < heads; h++) {
        struct attn_retroactive_head head = attn_retroactive_at(retroactive, state, h, false);
        attn_landmarks_close(landmarks, run, &place, &head.landmarks, scratch);
    }
    if (!landmarks->spread)
        attn_landmarks_refresh(landmarks, run, &place, state + offset, stride, scratch);
}

void attn_retroactive_step(const struct attn_retroactive *retroactive, struct attn_run *run, float *state,
                           struct attn_when when, const float *qkv, float *output, bool raw, float *scratch)
{
    size_t heads = retroactive->shape.heads, d = retroactive->shape.head_dim;
    size_t w = attn_when_rows(when, retroactive->shape.window);
    struct work work = work_of(retroactive, scratch);
    for (size_t h = 0; h < heads; h++) {
        struct attn_retroactive_head head = attn_retroactive_at(retroactive, state, h, false);
        take_in(retroactive, run, when, &head, qkv + h * d);
    }
    if (!retroactive->exact)
        refresh(retroactive, run, state, when, work.rest);
    for (size_t h = 0; output != NULL && h < heads; h++) {
        float *rows = raw ? output + h * w * d : work.rows;
        attn_retroactive_read(retroactive, run, state, when, h, rows, scratch);
        for (size_t i = 0; !raw && i < w; i++)
            memcpy(output + (i * heads + h) * d, rows + i * d, d * sizeof(float));
    }
}
