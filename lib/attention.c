/* SPDX-License-Identifier: MIT */
#include "attention.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "inverse.h"
#include "nystrom.h"
#include "options.h"
#include "reason.h"

struct attn_attention {
    struct attn_options options; /* with landmarks of our own */
    struct attn_shape shape;
    struct attn_nystrom nystrom; /* zeros where attention is exact */
    bool exact;                  /* the method, or as many landmarks from segments as frames */
};

static size_t in_bytes(size_t floats)
{
    return (floats * sizeof(float) + ATTN_ALIGN - 1) / ATTN_ALIGN * ATTN_ALIGN;
}

static float *copy(const float *floats, size_t n)
{
    float *own = malloc(n * sizeof(float));
    return own == NULL ? NULL : memcpy(own, floats, n * sizeof(float));
}

static int own_landmarks(struct attn_options *options)
{
    if (options->landmark_policy != ATTN_LANDMARKS_FIXED)
        return 0;
    size_t n_floats = (size_t)options->heads * options->landmarks * options->head_dim;
    options->q_landmarks = copy(options->q_landmarks, n_floats);
    options->k_landmarks = copy(options->k_landmarks, n_floats);
    return options->q_landmarks == NULL || options->k_landmarks == NULL ? ATTN_E_MEMORY : 0;
}

static bool is_exact(const struct attn_options *options)
{
    bool fixed = options->landmark_policy == ATTN_LANDMARKS_FIXED;
    return options->method == ATTN_EXACT || (!fixed && options->landmarks >= options->window);
}

/* No less than the state of one stream takes, in floats: every array with the padding that it may have (nystrom.h,
 * aggregate.h). In floating point, so that no shape overflows it; what passes has sizes that fit 32 bits. */
static double most_state_floats(const struct attn_options *options)
{
    double n = options->window, m = options->landmarks, d = options->head_dim, padding = 15;
    if (is_exact(options))
        return options->heads * 2 * n * d;
    double c = m < n ? m : n;
    double rows = c + n / c + 1; /* of m aggregates each: the back, the boundaries, the longest segment's slots */
    double means = options->landmark_policy == ATTN_LANDMARKS_MEANS ? 2 * (d + m * d + m * m) + 6 * padding : 0;
    return options->heads * (2 * (n * d + padding) + rows * (m * d + 2 * m + 2 * padding) + means);
}

static int check_state(const struct attn_options *options, struct attn_reason *why)
{
    double mib = most_state_floats(options) * sizeof(float) / (1 << 20);
    double most = (double)ATTN_MAX_STATE_BYTES / (1 << 20);
    if (mib <= most)
        return 0;
    return attn_refuse(why, ATTN_E_OPTIONS,
                       "the state of a stream would take %.0f MiB, and %.0f are allowed: "
                       "make window, landmarks, heads or head_dim smaller",
                       mib, most);
}

/* g is computed within one frame, or when the plan is made: nothing else of a step grows faster than the state. */
static int check_work(const struct attn_options *options, struct attn_reason *why)
{
    double work = is_exact(options) ? 0 : options->heads * attn_inverse_multiply_adds(options->landmarks);
    if (work <= ATTN_MAX_INVERSE_WORK)
        return 0;
    return attn_refuse(
        why, ATTN_E_OPTIONS,
        "the inverse of %u x %u landmarks for %u heads would take %.1f billion multiply-adds, and %.1f are "
        "allowed: make landmarks or heads smaller",
        options->landmarks, options->landmarks, options->heads, work / 1e9, ATTN_MAX_INVERSE_WORK / 1e9);
}

static int derive(struct attn_attention *attention)
{
    const struct attn_options *options = &attention->options;
    attention->shape = (struct attn_shape){
        .heads = options->heads,
        .head_dim = options->head_dim,
        .window = options->window,
        .scale = attn_exact_scale(options->head_dim),
    };
    attention->exact = is_exact(options);
    if (attention->exact)
        return 0;
    return attn_nystrom_init(&attention->nystrom, &attention->shape, options->landmarks,
                             options->inverse_scale == ATTN_INVERSE_HEADS, options->q_landmarks, options->k_landmarks);
}

int attn_attention_new(struct attn_attention **attention, const struct attn_options *options, struct attn_reason *why)
{
    int error = attn_options_check(options, why);
    if (error == 0)
        error = check_state(options, why);
    if (error == 0)
        error = check_work(options, why);
    if (error != 0)
        return error;
    struct attn_attention *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for a plan of %zu bytes", sizeof(*made));
    made->options = *options;
    error = own_landmarks(&made->options);
    if (error == 0)
        error = derive(made);
    if (error != 0) {
        attn_attention_free(made);
        return attn_refuse(why, error, "no memory for %u fixed landmarks", options->landmarks);
    }
    *attention = made;
    return 0;
}

void attn_attention_free(struct attn_attention *attention)
{
    if (attention == NULL)
        return;
    attn_nystrom_done(&attention->nystrom);
    if (attention->options.landmark_policy == ATTN_LANDMARKS_FIXED) {
        free((float *)attention->options.q_landmarks);
        free((float *)attention->options.k_landmarks);
    }
    free(attention);
}

size_t attn_attention_state_bytes(const struct attn_attention *attention)
{
    return in_bytes(attention->exact ? attn_exact_state(&attention->shape) : attn_nystrom_state(&attention->nystrom));
}

size_t attn_attention_scratch_bytes(const struct attn_attention *attention)
{
    return in_bytes(attention->exact ? attn_exact_scratch(&attention->shape)
                                     : attn_nystrom_scratch(&attention->nystrom));
}

uint32_t attn_attention_replay_frames(const struct attn_attention *attention)
{
    const struct attn_options *options = &attention->options;
    if (attention->exact || options->landmark_policy == ATTN_LANDMARKS_FIXED)
        return options->window;
    return options->window + (uint32_t)attn_segments_longest(&attention->nystrom.segments) - 1;
}

const struct attn_options *attn_attention_options(const struct attn_attention *attention)
{
    return &attention->options;
}

void attn_attention_reset(const struct attn_attention *attention, void *state)
{
    if (attention->exact)
        memset(state, 0, attn_attention_state_bytes(attention));
    else
        attn_nystrom_reset(&attention->nystrom, state);
}

void attn_attention_step(const struct attn_attention *attention, void *state, uint64_t t, const float *qkv,
                         float *output, void *scratch)
{
    if (attention->exact)
        attn_exact_step(&attention->shape, state, t, qkv, output, scratch);
    else
        attn_nystrom_step(&attention->nystrom, state, t, qkv, output, scratch);
}
