/* SPDX-License-Identifier: MIT */
#include "attention.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "inverse.h"
#include "nystrom.h"
#include "options.h"
#include "reason.h"
#include "retroactive.h"
#include "verify.h"

enum kind { EXACT, NYSTROM, RETROACTIVE };

struct attn_attention {
    struct attn_options options; /* with landmarks of our own */
    struct attn_shape shape;
    const struct attn_kernels *kernels;
    enum kind kind;
    bool exact; /* the method, or as many landmarks from segments as frames */
    union {
        struct attn_nystrom nystrom;
        struct attn_retroactive retroactive;
    } of;
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

/* No less than the state of one stream takes, in floats: every array with the padding that it may have. In floating
 * point, so that no shape overflows it; what passes has sizes that fit 32 bits. */
static double most_state_floats(const struct attn_options *options)
{
    double n = options->window, m = options->landmarks, d = options->head_dim, padding = 15;
    if (is_exact(options))
        return options->heads * ((options->retroactive ? 3 : 2) * n * d + d + padding);
    bool means = options->landmark_policy == ATTN_LANDMARKS_MEANS, spread = options->refresh == ATTN_REFRESH_SPREAD;
    double landmarks = means ? 2 * m * d + (spread ? 7 : 2) * m * m + 4 * d + 13 * padding : 0;
    if (options->retroactive)
        return options->heads * (3 * n * d + landmarks + padding);
    double segments = m < n ? m : n, longest = n / segments + 1, blocks = longest / 16 + 1;
    double row = m * d + 2 * m + 2 * padding;
    double fronts = (segments + 4) * row, remainder = (spread ? 2 : 1) * (longest * m + padding + blocks * row);
    return options->heads * (2 * n * d + fronts + remainder + d + landmarks + 4 * padding);
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
    struct attn_run run = {.kernels = attention->kernels};
    attention->shape = (struct attn_shape){
        .heads = options->heads,
        .head_dim = options->head_dim,
        .window = options->window,
        .scale = attn_exact_scale(options->head_dim),
    };
    attention->exact = is_exact(options);
    attention->kind = options->retroactive ? RETROACTIVE : attention->exact ? EXACT : NYSTROM;
    if (attention->kind == RETROACTIVE)
        return attn_retroactive_init(&attention->of.retroactive, options, &attention->shape, attention->exact, &run);
    if (attention->kind == NYSTROM)
        return attn_nystrom_init(&attention->of.nystrom, options, &attention->shape, &run);
    return 0;
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
    made->kernels = attn_kernels_of(options->variant); /* attn_options_check saw that they are here */
    made->options.variant = made->kernels->variant;
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
    if (attention->kind == RETROACTIVE)
        attn_retroactive_done(&attention->of.retroactive);
    else if (attention->kind == NYSTROM)
        attn_nystrom_done(&attention->of.nystrom);
    if (attention->options.landmark_policy == ATTN_LANDMARKS_FIXED) {
        free((float *)attention->options.q_landmarks);
        free((float *)attention->options.k_landmarks);
    }
    free(attention);
}

size_t attn_attention_state_bytes(const struct attn_attention *attention)
{
    switch (attention->kind) {
    case NYSTROM:
        return in_bytes(attn_nystrom_state(&attention->of.nystrom));
    case RETROACTIVE:
        return in_bytes(attn_retroactive_state(&attention->of.retroactive));
    default:
        return in_bytes(attn_exact_state(&attention->shape));
    }
}

size_t attn_attention_scratch_bytes(const struct attn_attention *attention)
{
    switch (attention->kind) {
    case NYSTROM:
        return in_bytes(attn_nystrom_scratch(&attention->of.nystrom));
    case RETROACTIVE:
        return in_bytes(attn_retroactive_scratch(&attention->of.retroactive));
    default:
        return in_bytes(attn_exact_scratch(&attention->shape));
    }
}

uint32_t attn_attention_replay_frames(const struct attn_attention *attention)
{
    const struct attn_options *options = &attention->options;
    if (attention->exact || options->landmark_policy == ATTN_LANDMARKS_FIXED)
        return options->window;
    uint32_t longest = options->window / options->landmarks + (options->window % options->landmarks != 0);
    return options->window + (options->refresh == ATTN_REFRESH_SPREAD ? 2 : 1) * longest - 1;
}

const struct attn_options *attn_attention_options(const struct attn_attention *attention)
{
    return &attention->options;
}

const struct attn_kernels *attn_attention_kernels(const struct attn_attention *attention)
{
    return attention->kernels;
}

void attn_attention_reset(const struct attn_attention *attention, void *state)
{
    if (attention->kind == NYSTROM)
        attn_nystrom_reset(&attention->of.nystrom, state);
    else /* of which zeros are the empty state */
        memset(state, 0, attn_attention_state_bytes(attention));
}

void attn_attention_step(const struct attn_attention *attention, struct attn_run *run, void *state,
                         struct attn_when when, const float *qkv, float *output, bool raw, void *scratch)
{
    switch (attention->kind) {
    case NYSTROM:
        attn_nystrom_step(&attention->of.nystrom, run, state, when, qkv, output, scratch);
        break;
    case RETROACTIVE:
        attn_retroactive_step(&attention->of.retroactive, run, state, when, qkv, output, raw, scratch);
        break;
    default:
        attn_exact_step(&attention->shape, run, state, when, qkv, output, scratch);
        break;
    }
}

/* What verification needs of head h, and that head's newest output as the state gives it, in `scratch`. */
static struct attn_verified read_head(const struct attn_attention *attention, void *state, struct attn_when newest,
                                      size_t h, float *scratch)
{
    struct attn_run run = {.kernels = attention->kernels};
    size_t n = attention->shape.window, d = attention->shape.head_dim, w = attn_when_rows(newest, n);
    float *output = scratch, *rest = scratch + n * d;
    if (attention->kind == NYSTROM) {
        struct attn_nystrom_head head = attn_nystrom_at(&attention->of.nystrom, state, h);
        attn_nystrom_read(&attention->of.nystrom, &run, state, newest, h, output, rest);
        return (struct attn_verified){head.keys, head.values, head.query, output, head.landmarks};
    }
    if (attention->kind == RETROACTIVE) {
        struct attn_retroactive_head head = attn_retroactive_at(&attention->of.retroactive, state, h, false);
        attn_retroactive_read(&attention->of.retroactive, &run, state, newest, h, output, rest);
        return (struct attn_verified){head.keys, head.values, head.queries + newest.t % n * d, output + (w - 1) * d,
                                      head.landmarks};
    }
    struct attn_exact_head head = attn_exact_at(&attention->shape, state, h);
    attn_exact_attend(&attention->shape, &run, newest, head.keys, head.values, head.query, output, rest);
    return (struct attn_verified){.keys = head.keys, .values = head.values, .query = head.query, .output = output};
}

int attn_attention_verify(const struct attn_attention *attention, void *state, struct attn_when newest,
                          double *difference)
{
    size_t n = attention->shape.window, d = attention->shape.head_dim, heads = attention->shape.heads;
    size_t each = n * d + attn_attention_scratch_bytes(attention) / sizeof(float);
    const struct attn_landmarks *landmarks = attention->kind == NYSTROM       ? &attention->of.nystrom.landmarks
                                             : attention->kind == RETROACTIVE ? &attention->of.retroactive.landmarks
                                                                              : NULL;
    float *scratch = malloc((heads * n * d + each) * sizeof(float));
    struct attn_verified *verified = malloc(heads * sizeof(*verified));
    int error = scratch == NULL || verified == NULL ? ATTN_E_MEMORY : 0;
    for (size_t h = 0; error == 0 && h < heads; h++)
        verified[h] = read_head(attention, state, newest, h, scratch + h * n * d);
    if (error == 0)
        error = attn_verify_heads(&attention->shape, attention->exact ? NULL : landmarks, newest, verified, difference);
    free(verified);
    free(scratch);
    return error;
}
