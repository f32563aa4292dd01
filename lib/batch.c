/* SPDX-License-Identifier: MIT */
/*
 * The formulas of maths sections 2 to 4 on the frames themselves, in float32 and through BLAS: what the steps are
 * compared with. It shares g with them, and nothing else. Landmarks are in the order of their age here.
 */
#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "inverse.h"
#include "segments.h"

struct batch {
    const struct attn_options *options;
    const float *frames; /* [n_frames][3][H][d] */
    size_t n_frames;
    size_t w;           /* |W_t| */
    size_t c;           /* landmarks; 0: exact attention */
    float *gamma;       /* [H][c][c] */
    float *q_landmarks; /* [H][c][d] */
    float *k_landmarks; /* [H][c][d] */
    float *keys;        /* [w][d], of one head */
    float *values;      /* [w][d] */
    float *delta;       /* [c][w], or the weights of exact attention [w] */
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

/* C[r×c] = a · A[r×k] · B[c×k]ᵀ */
static void product_transposed(float *c_matrix, float a, const float *left, const float *right, size_t r, size_t k,
                               size_t c)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)r, (int)c, (int)k, a, left, (int)k, right, (int)k, 0.0f,
                c_matrix, (int)c);
}

/* C[r×c] = A[r×k] · B[k×c] */
static void product(float *c_matrix, const float *left, const float *right, size_t r, size_t k, size_t c)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)r, (int)c, (int)k, 1.0f, left, (int)k, right, (int)c,
                0.0f, c_matrix, (int)c);
}

static void row_softmax(float *rows, size_t n_rows, size_t n)
{
    for (size_t r = 0; r < n_rows; r++) {
        float *row = rows + r * n, most = row[0], sum = 0.0f;
        for (size_t i = 1; i < n; i++)
            most = fmaxf(most, row[i]);
        for (size_t i = 0; i < n; i++)
            sum += row[i] = expf(row[i] - most);
        for (size_t i = 0; i < n; i++)
            row[i] /= sum;
    }
}

/* mean[d] of q or k over the positions first … end − 1 */
static void mean(const struct batch *batch, float *to, enum part part, size_t h, size_t first, size_t end)
{
    size_t d = batch->options->head_dim;
    memset(to, 0, d * sizeof(float));
    for (size_t frame = first; frame < end; frame++)
        cblas_saxpy((int)d, 1.0f / (float)(end - first), vector_of(batch, frame, part, h), 1, to, 1);
}

/* Q̃ and K̃ of L_t: walks back from the newest frame over the segments that are closed. */
static void take_means(const struct batch *batch)
{
    size_t n = batch->options->window, d = batch->options->head_dim;
    struct attn_segments segments = attn_segments(n, batch->options->landmarks);
    size_t end = batch->n_frames, found = 0;
    for (; found < batch->c; end--) {
        size_t slot = (end - 1) % n, segment = attn_segments_of(&segments, slot);
        if (slot + 1 != attn_segments_end(&segments, segment))
            continue;
        size_t first = end - (slot + 1 - attn_segments_start(&segments, segment));
        found++;
        for (size_t h = 0; h < batch->options->heads; h++) {
            size_t place = (h * batch->c + batch->c - found) * d;
            mean(batch, batch->q_landmarks + place, Q, h, first, end);
            mean(batch, batch->k_landmarks + place, K, h, first, end);
        }
    }
}

/* Γ = row softmax of ℓ(q̃_i, k̃_j) of every head, and g of it. */
static void invert(const struct batch *batch)
{
    size_t heads = batch->options->heads, c = batch->c, d = batch->options->head_dim;
    bool shared = batch->options->inverse_scale == ATTN_INVERSE_HEADS;
    struct attn_norms largest = {0};
    for (size_t h = 0; h < heads; h++) {
        float *gamma = batch->gamma + h * c * c;
        product_transposed(gamma, 1.0f / sqrtf((float)d), batch->q_landmarks + h * c * d,
                           batch->k_landmarks + h * c * d, c, d, c);
        row_softmax(gamma, c, c);
        largest = attn_inverse_larger(largest, attn_inverse_norms(gamma, c, batch->work));
    }
    for (size_t h = 0; h < heads; h++) {
        float *gamma = batch->gamma + h * c * c;
        attn_inverse(gamma, c, shared ? largest : attn_inverse_norms(gamma, c, batch->work), batch->work);
    }
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

/* o[d] of one head: β · g(Γ) · (ΔV), or exact attention. */
static void attend(const struct batch *batch, size_t h, float *output)
{
    size_t c = batch->c, w = batch->w, d = batch->options->head_dim;
    float scale = 1.0f / sqrtf((float)d);
    const float *q = vector_of(batch, batch->n_frames - 1, Q, h);
    take_window(batch, h);
    if (c == 0) {
        product_transposed(batch->delta, scale, q, batch->keys, 1, d, w);
        row_softmax(batch->delta, 1, w);
        product(output, batch->delta, batch->values, 1, w, d);
        return;
    }
    product_transposed(batch->beta, scale, q, batch->k_landmarks + h * c * d, 1, d, c);
    row_softmax(batch->beta, 1, c);
    product_transposed(batch->delta, scale, batch->q_landmarks + h * c * d, batch->keys, c, d, w);
    row_softmax(batch->delta, c, w);
    product(batch->delta_v, batch->delta, batch->values, c, w, d);
    product(batch->weights, batch->beta, batch->gamma + h * c * c, 1, c, c);
    product(output, batch->weights, batch->delta_v, 1, c, d);
}

/* |L_t|, or m where landmarks are fixed; 0 where attention is exact. */
static size_t count_landmarks(const struct attn_options *options, size_t n_frames)
{
    if (options->method == ATTN_EXACT)
        return 0;
    if (options->landmark_policy == ATTN_LANDMARKS_FIXED)
        return options->landmarks;
    if (options->landmarks >= options->window)
        return 0;
    struct attn_segments segments = attn_segments(options->window, options->landmarks);
    return attn_segments_closed(&segments, n_frames - 1);
}

/* Cuts the arrays out of `memory`, or, where that is NULL, only counts their floats: in 64 bits, for delta may be
 * larger than any state. */
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
        {&batch->delta, (c > 0 ? c : 1) * w},
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
        .frames = frames,
        .n_frames = n_frames,
        .w = n_frames < options->window ? n_frames : options->window,
        .c = count_landmarks(options, n_frames),
    };
    uint64_t n_bytes = cut(&batch, NULL) * sizeof(float);
    float *memory = n_bytes <= SIZE_MAX ? malloc((size_t)n_bytes) : NULL;
    if (memory == NULL)
        return ATTN_E_MEMORY;
    cut(&batch, memory);
    if (options->landmark_policy == ATTN_LANDMARKS_FIXED) {
        size_t n_floats = (size_t)options->heads * batch.c * options->head_dim;
        memcpy(batch.q_landmarks, options->q_landmarks, n_floats * sizeof(float));
        memcpy(batch.k_landmarks, options->k_landmarks, n_floats * sizeof(float));
    } else if (batch.c > 0) {
        take_means(&batch);
    }
    if (batch.c > 0)
        invert(&batch);
    for (size_t h = 0; h < options->heads; h++)
        attend(&batch, h, output + h * options->head_dim);
    free(memory);
    return 0;
}
