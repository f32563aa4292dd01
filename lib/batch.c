/* SPDX-License-Identifier: MIT */
/*
 * The formulas of maths sections 2 to 5 on the frames themselves, in float32: what the steps are compared with. It
 * shares the kernels and g with them, and nothing else. Everything is recomputed for one row of a matrix at a time, so
 * that the memory it takes is no more than that of a window. Landmarks are in the order of their age here.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "inverse.h"
#include "segments.h"

#define LOG2_E 1.4426950408889634

struct batch {
    const struct attn_options *options;
    const struct attn_kernels *kernels;
    const float *frames; /* [n_frames][3][H][d] */
    size_t n_frames;
    size_t w;           /* |W_t| */
    size_t c;           /* landmarks; 0: exact attention */
    float scale;        /* log₂e / √d: takes q·k to a logit in base 2 */
    float *gamma;       /* [H][c][c] */
    float *q_landmarks; /* [H][c][d] */
    float *k_landmarks; /* [H][c][d] */
    float *keys;        /* [w][d], of one head */
    float *values;      /* [w][d] */
    float *row;         /* [w] of Δ, or of the weights of exact attention */
    float *delta_v;     /* [c][d] */
    float *beta;        /* [c] */
    float *weights;     /* [c] */
    float *work;        /* of g */
};

enum part { Q, K, V };

static const float *vector_of(const struct batch *batch, size_t frame, enum part part, size_t h)
{
    size_t heads = batch->options->heads, d = batch->options->head_dim;
    return batch->frames + ((frame * 3 + part) * heads + h) * d;
}

/* weights[n] = softmax of ℓ(x[d], rows[n×d]) */
static void attention_weights(const struct batch *batch, size_t n, float *weights, const float *rows, const float *x)
{
    batch->kernels->logits(n, batch->options->head_dim, weights, rows, x);
    batch->kernels->scale(n, weights, batch->scale, weights);
    batch->kernels->softmax2(1, n, weights);
}

/* y[n] = w[R] · rows[R×n] */
static void product(const struct batch *batch, size_t n_rows, size_t n, float *y, const float *w, const float *rows)
{
    batch->kernels->combine(n_rows, n, y, 0.0f, NULL, w, rows);
}

/* to[d] = the mean of q or k over the positions first … end − 1 */
static void mean(const struct batch *batch, float *to, enum part part, size_t h, size_t first, size_t end)
{
    size_t d = batch->options->head_dim;
    memset(to, 0, d * sizeof(float));
    for (size_t frame = first; frame < end; frame++)
        batch->kernels->add(d, to, vector_of(batch, frame, part, h));
    batch->kernels->scale(d, to, 1.0f / (float)(end - first), to);
}

/* Q̃ and K̃ of L_t: walks back from the newest frame over the segments that are closed, of which spread refresh leaves
 * out the newest. */
static void take_means(const struct batch *batch)
{
    size_t n = batch->options->window, d = batch->options->head_dim;
    size_t to_skip = batch->options->refresh == ATTN_REFRESH_SPREAD;
    struct attn_segments segments = attn_segments(n, batch->options->landmarks);
    for (size_t end = batch->n_frames, left = batch->c; left > 0; end--) {
        size_t slot = (end - 1) % n, segment = attn_segments_of(&segments, slot);
        if (slot + 1 != attn_segments_end(&segments, segment))
            continue;
        if (to_skip > 0) {
            to_skip--;
            continue;
        }
        size_t first = end - (slot + 1 - attn_segments_start(&segments, segment));
        left--;
        for (size_t h = 0; h < batch->options->heads; h++) {
            size_t place = (h * batch->c + left) * d;
            mean(batch, batch->q_landmarks + place, Q, h, first, end);
            mean(batch, batch->k_landmarks + place, K, h, first, end);
        }
    }
}

static void take_landmarks(const struct batch *batch)
{
    const struct attn_options *options = batch->options;
    size_t n_bytes = (size_t)options->heads * batch->c * options->head_dim * sizeof(float);
    if (options->landmark_policy == ATTN_LANDMARKS_MEANS) {
        take_means(batch);
        return;
    }
    memcpy(batch->q_landmarks, options->q_landmarks, n_bytes);
    memcpy(batch->k_landmarks, options->k_landmarks, n_bytes);
}

/* g(Γ) of every head, Γ being the row softmax of ℓ(q̃_i, k̃_j). */
static void invert(const struct batch *batch)
{
    size_t heads = batch->options->heads, c = batch->c, d = batch->options->head_dim;
    for (size_t i = 0; i < heads * c; i++)
        batch->kernels->logits(c, d, batch->gamma + i * c, batch->k_landmarks + i / c * c * d,
                               batch->q_landmarks + i * d);
    batch->kernels->scale(heads * c * c, batch->gamma, batch->scale, batch->gamma);
    struct attn_run run = {.kernels = batch->kernels};
    attn_inverse_heads(&run, batch->gamma, heads, c * c, c, batch->options->inverse_scale == ATTN_INVERSE_HEADS,
                       batch->work);
}

static void take_window(const struct batch *batch, size_t h)
{
    size_t d = batch->options->head_dim;
    for (size_t i = 0; i < batch->w; i++) {
        size_t frame = batch->n_frames - batch->w + i;
        memcpy(batch->keys + i * d, vector_of(batch, frame, K, h), d * sizeof(float));
        memcpy(batch->values + i * d, vector_of(batch, frame, V, h), d * sizeof(float));
    }
}

/* Δ V of a head whose window was taken. */
static void take_delta_v(const struct batch *batch, size_t h)
{
    size_t c = batch->c, d = batch->options->head_dim;
    for (size_t j = 0; j < c; j++) {
        attention_weights(batch, batch->w, batch->row, batch->keys, batch->q_landmarks + (h * c + j) * d);
        product(batch, batch->w, d, batch->delta_v + j * d, batch->row, batch->values);
    }
}

/* output[d] = β · g(Γ) · (ΔV) for q of this frame, or exact attention. */
static void attend(const struct batch *batch, size_t h, size_t frame, float *output)
{
    size_t c = batch->c, w = batch->w, d = batch->options->head_dim;
    const float *q = vector_of(batch, frame, Q, h);
    if (c == 0) {
        attention_weights(batch, w, batch->row, batch->keys, q);
        product(batch, w, d, output, batch->row, batch->values);
        return;
    }
    attention_weights(batch, c, batch->beta, batch->k_landmarks + h * c * d, q);
    product(batch, c, c, batch->weights, batch->beta, batch->gamma + h * c * c);
    product(batch, c, d, output, batch->weights, batch->delta_v);
}

/* The newest row, or all that are in the window, at the end of `output` behind zeros for those that are not yet. */
static void attend_all(const struct batch *batch, float *output)
{
    size_t heads = batch->options->heads, d = batch->options->head_dim, n = batch->options->window;
    size_t n_rows = batch->options->retroactive ? batch->w : 1,
           n_missing = batch->options->retroactive ? n - n_rows : 0;
    memset(output, 0, n_missing * heads * d * sizeof(float));
    for (size_t h = 0; h < heads; h++) {
        take_window(batch, h);
        take_delta_v(batch, h);
        for (size_t r = 0; r < n_rows; r++)
            attend(batch, h, batch->n_frames - n_rows + r, output + ((n_missing + r) * heads + h) * d);
    }
}

/* |L_t|, or m where landmarks are fixed; 0 where attention is exact. */
static size_t count_landmarks(const struct attn_options *options, size_t n_frames)
{
    size_t n = options->window, m = options->landmarks;
    if (options->method == ATTN_EXACT)
        return 0;
    if (options->landmark_policy == ATTN_LANDMARKS_FIXED)
        return m;
    if (m >= n)
        return 0;
    struct attn_segments segments = attn_segments(n, m);
    size_t closed = n_frames / n * m;
    if (n_frames % n > 0)
        closed += attn_segments_closed(&segments, n_frames % n - 1);
    if (options->refresh == ATTN_REFRESH_SPREAD && closed > 0)
        closed--;
    return closed < m ? closed : m;
}

/* Cuts the arrays out of `memory`, or, where that is NULL, only counts their floats. */
static uint64_t cut(struct batch *batch, float *memory)
{
    uint64_t heads = batch->options->heads, d = batch->options->head_dim, c = batch->c, w = batch->w;
    struct {
        float **array;
        uint64_t floats;
    } arrays[] = {
        {&batch->gamma, heads * c * c},
        {&batch->q_landmarks, heads * c * d},
        {&batch->k_landmarks, heads * c * d},
        {&batch->keys, w * d},
        {&batch->values, w * d},
        {&batch->row, w},
        {&batch->delta_v, c * d},
        {&batch->beta, c},
        {&batch->weights, c},
        {&batch->work, attn_inverse_work(c)},
    };
    uint64_t total = 0;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (memory != NULL)
            *arrays[i].array = memory + total;
        total += arrays[i].floats;
    }
    return total;
}

int attn_attention_batch(const struct attn_attention *attention, const float *frames, size_t n_frames, float *output)
{
    const struct attn_options *options = attn_attention_options(attention);
    struct batch batch = {
        .options = options,
        .kernels = attn_attention_kernels(attention),
        .frames = frames,
        .n_frames = n_frames,
        .w = n_frames < options->window ? n_frames : options->window,
        .c = count_landmarks(options, n_frames),
        .scale = (float)(LOG2_E / sqrt(options->head_dim)),
    };
    uint64_t n_bytes = cut(&batch, NULL) * sizeof(float);
    float *memory = n_bytes <= SIZE_MAX ? malloc((size_t)n_bytes) : NULL;
    if (memory == NULL)
        return ATTN_E_MEMORY;
    cut(&batch, memory);
    if (batch.c > 0) {
        take_landmarks(&batch);
        invert(&batch);
    }
    attend_all(&batch, output);
    free(memory);
    return 0;
}
