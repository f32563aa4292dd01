/* SPDX-License-Identifier: MIT */
/*
 * The batch formulas, of which only the newest row is wanted: its query needs one row of attention, or one of β, so
 * that ΔV is never made, but each frame gets one weight:
 *
 *     o = β g(Γ) Δ V = Σ_i (Σ_j w_j Δ_ji) v_i  with  w = β g(Γ)
 *
 * That costs m·n a head, where ΔV would cost m·n·d. Heads are gathered out of the rows one at a time, for
 * kernels read dense rows. Logits are in base 2: queries are scaled by log2(e)/√d.
 */
#include "window.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "inverse.h"
#include "options.h"
#include "reason.h"
#include "segments.h"

/* Those of all heads in a window. */
struct landmarks {
    size_t c;
    const float *q;       /* [H][c][d], scaled */
    const float *k;       /* [H][c][d] */
    const float *inverse; /* [H][c][c]: g(Γ) */
};

struct attn_window {
    struct attn_options options;
    const struct attn_kernels *kernels;
    float scale;                /* log2(e)/√d */
    bool fixed;                 /* landmarks came with the options: */
    struct landmarks landmarks; /* m of them, in `memory` */
    float *memory;
};

/* The arrays of a step. */
struct work {
    float *keys, *values;     /* [n][d] each, of one head */
    float *weights;           /* [n] */
    float *logits;            /* [n][m], of Δᵀ */
    float *query, *beta;      /* [d], [m] */
    float *q_by_d;            /* [d][m], the landmarks of one head */
    float *w;                 /* [m]: β g(Γ) */
    float *shares;            /* [3m], of attn_kernels.shares */
    float *q_means, *k_means; /* [H][c][d] each, queries scaled */
    float *mean;              /* [H][d] */
    float *gamma;             /* [H][c][c] */
    float *inverse;           /* of attn_inverse_heads */
};

static size_t landmarks_of(const struct attn_window *window)
{
    return window->options.method == ATTN_NYSTROM ? window->options.landmarks : 0;
}

/* The most segments that there can be: as many landmarks as frames is exact attention. */
static size_t most_segments(const struct attn_window *window)
{
    return attn_window_segments(window, window->options.window);
}

/* Cuts the arrays out of `memory`, or, where that is NULL, only counts their floats. */
static uint64_t cut(const struct attn_window *window, struct work *work, float *memory)
{
    uint64_t heads = window->options.heads, d = window->options.head_dim, n = window->options.window;
    uint64_t c = most_segments(window), m = window->fixed ? window->options.landmarks : c;
    struct {
        float **array;
        uint64_t floats;
    } arrays[] = {
        {&work->keys, n * d},
        {&work->values, n * d},
        {&work->weights, n},
        {&work->logits, n * m},
        {&work->query, d},
        {&work->beta, m},
        {&work->q_by_d, d * m},
        {&work->w, m},
        {&work->shares, 3 * m},
        {&work->q_means, heads * c * d},
        {&work->k_means, heads * c * d},
        {&work->mean, heads * d},
        {&work->gamma, heads * c * c},
        {&work->inverse, attn_inverse_work((size_t)c)},
    };
    uint64_t total = 0, line = ATTN_ALIGN / sizeof(float);
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (memory != NULL)
            *arrays[i].array = memory + total;
        total += (arrays[i].floats + line - 1) / line * line;
    }
    return total;
}

/* Γ's logits for one head, base 2: gamma[c×c] of q[c×d] (scaled) and k[c×d] */
static void take_gamma(struct attn_run *run, size_t c, size_t d, float *gamma, const float *q, const float *k)
{
    for (size_t i = 0; i < c; i++)
        attn_run_logits(run, c, d, gamma + i * c, k, q + i * d);
}

static int check(const struct attn_options *options, struct attn_reason *why)
{
    int error = attn_options_check(options, why);
    if (error < 0)
        return error;
    double work = options->method == ATTN_NYSTROM ? options->heads * attn_inverse_multiply_adds(options->landmarks) : 0;
    bool inverts = options->landmark_policy == ATTN_LANDMARKS_FIXED || options->landmarks < options->window;
    if (options->retroactive)
        return attn_refuse(why, ATTN_E_OPTIONS,
                           "retroactive is %d; a window that is recomputed gives its newest row (0)",
                           options->retroactive);
    if (options->refresh != ATTN_REFRESH_IMMEDIATE)
        return attn_refuse(why, ATTN_E_OPTIONS,
                           "refresh is spread, but this layer recomputes its window: it has nothing to spread; leave "
                           "it out");
    if (inverts && work > ATTN_MAX_INVERSE_WORK)
        return attn_refuse(why, ATTN_E_OPTIONS,
                           "the inverse of %u x %u landmarks for %u heads would take %.1f billion multiply-adds, and "
                           "%.1f are allowed: make landmarks or heads smaller",
                           options->landmarks, options->landmarks, options->heads, work / 1e9,
                           ATTN_MAX_INVERSE_WORK / 1e9);
    return 0;
}

/* Own landmarks, and g of their Γ, which no frame changes. */
static int take_landmarks(struct attn_window *window)
{
    size_t heads = window->options.heads, m = window->options.landmarks, d = window->options.head_dim;
    size_t n_floats = heads * m * d;
    float *work = malloc(attn_inverse_work(m) * sizeof(float));
    window->memory = malloc((2 * n_floats + heads * m * m) * sizeof(float));
    int error = ATTN_E_MEMORY;
    if (work != NULL && window->memory != NULL) {
        float *q = window->memory, *k = q + n_floats, *inverse = k + n_floats;
        struct attn_run run = {.kernels = window->kernels};
        run.kernels->scale(n_floats, q, window->scale, window->options.q_landmarks);
        memcpy(k, window->options.k_landmarks, n_floats * sizeof(float));
        for (size_t h = 0; h < heads; h++)
            take_gamma(&run, m, d, inverse + h * m * m, q + h * m * d, k + h * m * d);
        attn_inverse_heads(&run, inverse, heads, m * m, m, window->options.inverse_scale == ATTN_INVERSE_HEADS, work);
        window->landmarks = (struct landmarks){.c = m, .q = q, .k = k, .inverse = inverse};
        error = 0;
    }
    free(work);
    return error;
}

int attn_window_new(struct attn_window **window, const struct attn_options *options, struct attn_reason *why)
{
    int error = check(options, why);
    if (error < 0)
        return error;
    struct attn_window *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for a plan of %zu bytes", sizeof(*made));
    made->options = *options;
    made->kernels = attn_kernels_of(options->variant);
    made->scale = (float)(M_LOG2E / sqrt(options->head_dim));
    made->fixed = options->method == ATTN_NYSTROM && options->landmark_policy == ATTN_LANDMARKS_FIXED;
    if (made->fixed && take_landmarks(made) < 0)
        error = attn_refuse(why, ATTN_E_MEMORY, "no memory for %u fixed landmarks", options->landmarks);
    made->options.q_landmarks = made->options.k_landmarks = NULL;
    if (error < 0) {
        attn_window_free(made);
        return error;
    }
    *window = made;
    return 0;
}

void attn_window_free(struct attn_window *window)
{
    if (window == NULL)
        return;
    free(window->memory);
    free(window);
}

uint64_t attn_window_scratch_bytes(const struct attn_window *window)
{
    struct work work;
    return cut(window, &work, NULL) * sizeof(float);
}

double attn_window_most_multiply_adds(const struct attn_window *window)
{
    size_t c = most_segments(window), m = window->fixed ? window->options.landmarks : c;
    double heads = window->options.heads, d = window->options.head_dim, n = window->options.window;
    double landmarks = (double)c * (double)c * d + (c > 0 ? n * d : 0) + attn_inverse_multiply_adds(c);
    double attention = m > 0 ? (double)m * (d + (double)m + n * (d + 2)) + n * d : 2 * n * d;
    return heads * (landmarks + attention);
}

size_t attn_window_segments(const struct attn_window *window, size_t n_rows)
{
    size_t m = landmarks_of(window);
    return window->fixed || n_rows <= m ? 0 : m;
}

/* mean[width] of n_rows rows that are `stride` floats apart */
static void take_mean(struct attn_run *run, size_t n_rows, size_t stride, size_t width, float *mean, const float *rows)
{
    memset(mean, 0, width * sizeof(float));
    for (size_t i = 0; i < n_rows; i++)
        run->kernels->add(width, mean, rows + i * stride);
    run->kernels->scale(width, mean, 1.0f / (float)n_rows, mean);
    attn_run_count(run, (n_rows + 1) * width, 3 * (n_rows + 1) * width);
}

void attn_window_means(const struct attn_window *window, size_t n_rows, size_t width, float *means, const float *rows)
{
    size_t c = attn_window_segments(window, n_rows);
    struct attn_run run = {.kernels = window->kernels}; /* what stands around attention is not counted */
    struct attn_segments segments = attn_segments(n_rows, c > 0 ? c : 1);
    for (size_t j = 0; j < c; j++) {
        size_t start = attn_segments_start(&segments, j), end = attn_segments_end(&segments, j);
        take_mean(&run, end - start, width, width, means + j * width, rows + start * width);
    }
}

/* k_means[H][c][d] of the keys in kv [n_rows][2][H][d]: the means of a segment in one piece, by way of `mean` [H][d].
 */
static void take_k_means(const struct attn_window *window, struct attn_run *run, const struct attn_segments *segments,
                         float *k_means, float *mean, const float *kv)
{
    size_t heads = window->options.heads, d = window->options.head_dim, width = heads * d, c = segments->count;
    for (size_t j = 0; j < c; j++) {
        size_t start = attn_segments_start(segments, j), end = attn_segments_end(segments, j);
        take_mean(run, end - start, 2 * width, width, mean, kv + start * 2 * width);
        for (size_t h = 0; h < heads; h++)
            memcpy(k_means + (h * c + j) * d, mean + h * d, d * sizeof(float));
    }
}

/* The means of every head's c segments: queries from q [1+c][H][d], keys from kv [n_rows][2][H][d]; and g(Γ). */
static struct landmarks make_landmarks(const struct attn_window *window, struct attn_run *run, const struct work *work,
                                       size_t n_rows, const float *q, const float *kv)
{
    size_t heads = window->options.heads, d = window->options.head_dim, width = heads * d;
    size_t c = attn_window_segments(window, n_rows);
    struct attn_segments segments = attn_segments(n_rows, c);
    take_k_means(window, run, &segments, work->k_means, work->mean, kv);
    for (size_t h = 0; h < heads; h++) {
        float *q_means = work->q_means + h * c * d;
        for (size_t j = 0; j < c; j++)
            run->kernels->scale(d, q_means + j * d, window->scale, q + (1 + j) * width + h * d);
        take_gamma(run, c, d, work->gamma + h * c * c, q_means, work->k_means + h * c * d);
    }
    attn_inverse_heads(run, work->gamma, heads, c * c, c, window->options.inverse_scale == ATTN_INVERSE_HEADS,
                       work->inverse);
    return (struct landmarks){.c = c, .q = work->q_means, .k = work->k_means, .inverse = work->gamma};
}

/* Δᵀ's logits of the rows in work->keys, base 2: logits[n_rows×c] for q[c×d] */
static void take_logits(struct attn_run *run, const struct work *work, size_t n_rows, size_t c, size_t d,
                        const float *q)
{
    run->kernels->transpose(c, d, work->q_by_d, 1.0f, q);
    attn_run_product(run, n_rows, d, c, work->logits, 1.0f, work->keys, work->q_by_d);
    run->kernels->clamp(n_rows * c, work->logits);
}

/* weights[n_rows] = β g(Γ) Δ of head h, or without landmarks those of exact attention */
static void take_weights(const struct attn_window *window, struct attn_run *run, const struct work *work, size_t n_rows,
                         size_t h, const struct landmarks *landmarks)
{
    size_t d = window->options.head_dim, c = landmarks->c;
    if (c == 0) {
        attn_run_logits(run, n_rows, d, work->weights, work->keys, work->query);
        attn_run_softmax2(run, 1, n_rows, work->weights);
        return;
    }
    attn_run_logits(run, c, d, work->beta, landmarks->k + h * c * d, work->query);
    attn_run_softmax2(run, 1, c, work->beta);
    attn_run_product(run, 1, c, c, work->w, 1.0f, work->beta, landmarks->inverse + h * c * c);
    take_logits(run, work, n_rows, c, d, landmarks->q + h * c * d);
    run->kernels->shares(&(struct attn_reading){
        .m = c,
        .n_rows = n_rows,
        .w = work->w,
        .logits = work->logits,
        .row_weight = work->weights,
        .work = work->shares,
    });
    attn_run_count(run, n_rows * c, (2 * n_rows + 4) * c);
}

/* The keys and values of head h, out of kv [n_rows][2][H][d]. */
static void gather(const struct attn_window *window, const struct work *work, size_t n_rows, size_t h, const float *kv)
{
    size_t d = window->options.head_dim, width = window->options.heads * d;
    for (size_t i = 0; i < n_rows; i++) {
        memcpy(work->keys + i * d, kv + i * 2 * width + h * d, d * sizeof(float));
        memcpy(work->values + i * d, kv + i * 2 * width + width + h * d, d * sizeof(float));
    }
}

void attn_window_attend(const struct attn_window *window, struct attn_run *run, size_t n_rows, float *output,
                        const float *q, const float *kv, void *scratch)
{
    size_t heads = window->options.heads, d = window->options.head_dim;
    struct work work;
    cut(window, &work, scratch);
    struct landmarks landmarks = {.c = 0, .q = work.q_means, .k = work.k_means, .inverse = work.gamma};
    if (window->fixed)
        landmarks = window->landmarks;
    else if (attn_window_segments(window, n_rows) > 0)
        landmarks = make_landmarks(window, run, &work, n_rows, q, kv);
    for (size_t h = 0; h < heads; h++) {
        gather(window, &work, n_rows, h, kv);
        run->kernels->scale(d, work.query, window->scale, q + h * d);
        take_weights(window, run, &work, n_rows, h, &landmarks);
        attn_run_combine(run, n_rows, d, output + h * d, 0.0f, output + h * d, work.weights, work.values);
    }
}
