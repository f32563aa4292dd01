/* SPDX-License-Identifier: MIT */
#include "lottery.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draft.h"

enum { MOST_HEADS = 3, MOST_WINDOW = 14, MOST_LANDMARKS = MOST_WINDOW + 3, MOST_DIM = 17, MOST_LAYERS = 3 };

/* What is drawn of a model, beside its layers. */
struct shape {
    uint32_t input, heads, d, window, positions, ff, outputs;
};

uint64_t lottery_next(uint64_t *series)
{
    uint64_t x = *series += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

size_t lottery_below(uint64_t *series, size_t n)
{
    return (size_t)(lottery_next(series) >> 16) % n;
}

static bool one_in(uint64_t *series, size_t n)
{
    return lottery_below(series, n) == 0;
}

static uint32_t between(uint64_t *series, uint32_t least, uint32_t most)
{
    return least + (uint32_t)lottery_below(series, most - least + 1);
}

/* One of two words. */
static const char *either(uint64_t *series, const char *a, const char *b)
{
    return one_in(series, 2) ? a : b;
}

void lottery_fill(uint64_t *series, float *x, size_t n, double deviation)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = lottery_next(series);
        double sum = 0; /* of four uniform numbers, each with the variance 1/12 */
        for (int part = 0; part < 4; part++)
            sum += (double)(bits >> 16 * part & 0xffff) / 65536 - 0.5;
        x[i] = (float)(deviation * sum * sqrt(3.0));
    }
}

static struct attn_plan *draw_attention(uint64_t *series, enum attn_variant variant, char *text, size_t n_text)
{
    struct attn_options options = {.size = sizeof(options), .variant = variant};
    float landmarks[2 * MOST_HEADS * MOST_LANDMARKS * MOST_DIM];
    options.heads = between(series, 1, MOST_HEADS);
    options.head_dim = between(series, 1, MOST_DIM);
    options.window = between(series, 1, MOST_WINDOW);
    options.retroactive = one_in(series, 4);
    if (!one_in(series, 4)) {
        options.method = ATTN_NYSTROM;
        options.landmarks = between(series, 1, options.window + 3);
        options.refresh = one_in(series, 2) ? ATTN_REFRESH_SPREAD : ATTN_REFRESH_IMMEDIATE;
        options.inverse_scale = one_in(series, 2) ? ATTN_INVERSE_HEADS : ATTN_INVERSE_MATRIX;
    }
    if (options.method == ATTN_NYSTROM && one_in(series, 3)) {
        size_t n_floats = (size_t)options.heads * options.landmarks * options.head_dim;
        lottery_fill(series, landmarks, 2 * n_floats, 1);
        options.landmark_policy = ATTN_LANDMARKS_FIXED;
        options.q_landmarks = landmarks;
        options.k_landmarks = landmarks + n_floats;
    }
    snprintf(text, n_text, "%s H=%u d=%u n=%u m=%u%s%s%s%s", options.method == ATTN_EXACT ? "exact" : "nystrom",
             options.heads, options.head_dim, options.window, options.landmarks,
             options.landmark_policy == ATTN_LANDMARKS_FIXED ? " fixed" : "",
             options.refresh == ATTN_REFRESH_SPREAD ? " spread" : "",
             options.inverse_scale == ATTN_INVERSE_HEADS ? " heads" : "", options.retroactive ? " retroactive" : "");
    struct attn_plan *plan;
    struct attn_reason why;
    ck_assert_msg(attn_plan_new(&plan, &options, &why) == 0, "%s: %s", text, why.text);
    return plan;
}

/* Adds a tensor of random numbers around `mean`; a dimension of 0 ends the shape. */
static void add(struct draft *draft, uint64_t *series, const char *prefix, const char *name, const uint64_t *shape,
                float mean)
{
    char whole[64];
    snprintf(whole, sizeof(whole), "%s%s", prefix, name);
    struct draft_tensor *tensor = draft_add(draft, whole, shape);
    size_t n = 1;
    for (uint32_t i = 0; i < tensor->rank; i++)
        n *= tensor->shape[i];
    lottery_fill(series, tensor->values, n, tensor->rank == 2 ? 1.5 / sqrt((double)tensor->shape[1]) : 0.5);
    for (size_t i = 0; i < n; i++)
        tensor->values[i] += mean;
}

/* A matrix (out, in) and its bias. */
static void add_linear(struct draft *draft, uint64_t *series, const char *prefix, const char *name, uint32_t out,
                       uint32_t in)
{
    char whole[32];
    snprintf(whole, sizeof(whole), "%s.weight", name);
    add(draft, series, prefix, whole, (const uint64_t[]){out, in, 0}, 0);
    snprintf(whole, sizeof(whole), "%s.bias", name);
    add(draft, series, prefix, whole, (const uint64_t[]){out, 0}, 0);
}

static void add_norm(struct draft *draft, uint64_t *series, const char *prefix, const char *name, uint32_t width)
{
    char whole[32];
    snprintf(whole, sizeof(whole), "%s.weight", name);
    add(draft, series, prefix, whole, (const uint64_t[]){width, 0}, 1);
    snprintf(whole, sizeof(whole), "%s.bias", name);
    add(draft, series, prefix, whole, (const uint64_t[]){width, 0}, 0);
}

/* Appends to the configuration. */
static void say(struct draft *draft, const char *text)
{
    ck_assert_uint_lt(strlen(draft->configuration) + strlen(text), sizeof(draft->configuration));
    strcat(draft->configuration, text);
}

/* Says how a layer attends, and adds its fixed landmarks. The layer after a retroactive one has nothing to spread. */
static void add_attention(struct draft *draft, uint64_t *series, const struct shape *shape, const char *prefix,
                          bool retroactive, bool spreads)
{
    char text[256];
    uint32_t m = between(series, 1, shape->window + 2);
    if (one_in(series, 3)) {
        say(draft, "{\"method\": \"exact\"");
    } else {
        bool fixed = one_in(series, 3);
        const char *refresh = spreads ? either(series, "spread", "immediate") : "immediate",
                   *scale = either(series, "heads", "matrix");
        snprintf(text, sizeof(text),
                 "{\"method\": \"nystrom\", \"landmarks\": %u, \"landmark_policy\": \"%s\", \"refresh\": \"%s\", "
                 "\"inverse_scale\": \"%s\"",
                 m, fixed ? "fixed" : "means", refresh, scale);
        say(draft, text);
        if (fixed) {
            const uint64_t landmarks[] = {shape->heads, m, shape->d, 0};
            add(draft, series, prefix, "q_landmarks", landmarks, 0);
            add(draft, series, prefix, "k_landmarks", landmarks, 0);
        }
    }
    if (retroactive)
        say(draft, one_in(series, 2) ? ", \"retroactive\": true, \"head_merge\": \"raw\"" : ", \"retroactive\": true");
    say(draft, "}");
}

/* The third layer and its like go without projections, for a draft holds so many tensors and no more. */
static void add_layer(struct draft *draft, uint64_t *series, const struct shape *shape, unsigned i, bool pair,
                      bool projected)
{
    char prefix[32];
    uint32_t width = shape->heads * shape->d;
    snprintf(prefix, sizeof(prefix), "blocks.%u.", i);
    say(draft, i > 0 ? ", " : "");
    add_attention(draft, series, shape, prefix, pair && i == 0, !pair || i == 0);
    if (projected) {
        add_linear(draft, series, prefix, "q", width, width);
        add_linear(draft, series, prefix, "k", width, width);
        add_linear(draft, series, prefix, "v", width, width);
        add_linear(draft, series, prefix, "o", width, width);
    }
    add_norm(draft, series, prefix, "norm1", width);
    add_norm(draft, series, prefix, "norm2", width);
    add_linear(draft, series, prefix, "ff1", shape->ff, width);
    add_linear(draft, series, prefix, "ff2", width, shape->ff);
}

/* Each of them is drawn in a statement of its own: the order of arguments is up to the compiler. */
static struct shape draw_shape(uint64_t *series)
{
    struct shape shape;
    shape.input = between(series, 1, 9);
    shape.heads = between(series, 1, MOST_HEADS);
    shape.d = between(series, 1, 7);
    shape.window = between(series, 1, MOST_WINDOW);
    shape.positions = between(series, 0, 20);
    shape.ff = between(series, 1, 20);
    shape.outputs = between(series, 1, 5);
    return shape;
}

static void draw_draft(struct draft *draft, uint64_t *series)
{
    struct shape shape = draw_shape(series);
    uint32_t width = shape.heads * shape.d;
    bool pair = one_in(series, 3);
    unsigned n_layers = pair ? 2 : between(series, 1, MOST_LAYERS);
    const char *tap = either(series, "oldest", "newest"), *norm = either(series, "pre", "post");
    const char *activation = either(series, "relu", "gelu"), *head = either(series, "sigmoid", "softmax");
    memset(draft, 0, sizeof(*draft));
    snprintf(draft->configuration, sizeof(draft->configuration),
             "{\"version\": 1, \"input_dim\": %u, \"model_dim\": %u, \"heads\": %u, \"window\": %u, \"positions\": %u, "
             "\"residual_tap\": \"%s\", \"norm\": \"%s\", \"activation\": \"%s\", \"head\": \"%s\", \"layers\": [",
             shape.input, width, shape.heads, shape.window, shape.positions, tap, norm, activation, head);
    add_linear(draft, series, "", "embed", width, shape.input);
    if (shape.positions > 0)
        add(draft, series, "", "pe.weight", (const uint64_t[]){shape.positions, width, 0}, 0);
    for (unsigned i = 0; i < n_layers; i++)
        add_layer(draft, series, &shape, i, pair, i == 0 || n_layers < MOST_LAYERS);
    add_norm(draft, series, "", "norm", width);
    add_linear(draft, series, "", "head", shape.outputs, width);
    say(draft, "]}");
}

static struct attn_plan *draw_model(uint64_t *series, enum attn_variant variant, char *text, size_t n_text)
{
    struct draft *draft = malloc(sizeof(*draft));
    struct attn_model_options options = {.size = sizeof(options), .variant = variant};
    struct attn_plan *plan;
    struct attn_reason why;
    draw_draft(draft, series);
    snprintf(text, n_text, "%s", draft->configuration);
    struct draft_file file = draft_write(draft);
    ck_assert_msg(attn_plan_parse(&plan, file.bytes, file.n_bytes, &options, &why) == 0, "%s: %s", text, why.text);
    free(file.bytes);
    draft_done(draft);
    free(draft);
    return plan;
}

struct attn_plan *lottery_plan(uint64_t *series, enum attn_variant variant, char *text, size_t n_text)
{
    return one_in(series, 2) ? draw_model(series, variant, text, n_text)
                             : draw_attention(series, variant, text, n_text);
}
