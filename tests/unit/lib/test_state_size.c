/* SPDX-License-Identifier: MIT */
/* STATE SIZE in libattn(3): who plans for thousands of streams works with those formulas, so they are exact. They stand
 * here in the letters and in the order of the manual. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../run.h"
#include "stream.h"

static const struct shape {
    uint32_t heads, head_dim, window, landmarks;
} shapes[] = {
    {1, 192, 120, 16}, {16, 12, 120, 16}, {8, 64, 512, 32}, {1, 1, 1, 1},     {1, 1, 1, 3},    {3, 5, 2, 1},
    {2, 7, 2, 2},      {2, 4, 12, 3},     {1, 3, 97, 1},    {5, 1, 64, 1},    {2, 6, 9, 7},    {1, 8, 8, 8},
    {2, 5, 6, 17},     {1, 33, 33, 2},    {3, 16, 256, 64}, {2, 17, 1000, 9}, {1, 2, 16, 15},  {4, 9, 17, 3},
    {1, 5, 31, 30},    {7, 11, 160, 5},   {1, 2, 1024, 7},  {1, 2, 1025, 7},  {2, 3, 2051, 1},
};

enum { N_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static uint64_t divided_up(uint64_t x, uint64_t by)
{
    return (x + by - 1) / by;
}

/* [x]: the next multiple of 16. */
static uint64_t padded(uint64_t x)
{
    return divided_up(x, 16) * 16;
}

static uint64_t sums(uint64_t m, uint64_t d)
{
    return padded(2 * m) + padded(m * d);
}

static uint64_t landmark_floats(uint64_t m, uint64_t d, bool spread)
{
    return 2 * padded(m * d) + (spread ? 7 : 2) * padded(m * m) + 4 * padded(d);
}

static uint64_t nystrom_floats(uint64_t n, uint64_t m, uint64_t d, bool means, bool spread)
{
    uint64_t c = m < n ? m : n, r = spread && n > 1 ? 2 : 1, l = n > 1024 ? 2 : 0, a = sums(m, d);
    if (c == 1 && n > 1)
        c = 2;
    uint64_t s = divided_up(n, c);
    return 2 * padded(n * d) + padded(d) + (c + l + r) * a + r * (padded(s * m) + (divided_up(s, 16) - 1) * a) +
           (means ? landmark_floats(m, d, spread) : 0);
}

/* Bytes of the state by the manual. */
static uint64_t by_the_manual(const struct attn_options *options)
{
    uint64_t heads = options->heads, n = options->window, m = options->landmarks, d = options->head_dim;
    bool means = options->landmark_policy == ATTN_LANDMARKS_MEANS, spread = options->refresh == ATTN_REFRESH_SPREAD;
    bool exact = options->method == ATTN_EXACT || (means && m >= n);
    if (options->retroactive)
        return 64 + 4 * heads * (padded(3 * n * d) + (means && !exact ? landmark_floats(m, d, spread) : 0));
    if (exact)
        return 64 + 4 * padded(heads * (2 * n + 1) * d);
    return 64 + 4 * heads * nystrom_floats(n, m, d, means, spread);
}

static void check(const struct attn_options *options)
{
    struct stream stream;
    stream_open(&stream, options);
    ck_assert_msg(stream.info.state_bytes == by_the_manual(options),
                  "H %u d %u n %u m %u, policy %d, refresh %d, retroactive %d: %zu bytes, and by the manual %ju",
                  options->heads, options->head_dim, options->window, options->landmarks, (int)options->landmark_policy,
                  (int)options->refresh, options->retroactive, stream.info.state_bytes,
                  (uintmax_t)by_the_manual(options));
    stream_close(&stream);
}

START_TEST(exact_states_have_the_size_of_the_manual)
{
    struct attn_options options = exact_options(shapes[_i].heads, shapes[_i].head_dim, shapes[_i].window);
    check(&options);
    options.retroactive = 1;
    check(&options);
}
END_TEST

START_TEST(nystrom_states_have_the_size_of_the_manual)
{
    const struct shape *shape = &shapes[_i];
    size_t n_floats = (size_t)shape->heads * shape->landmarks * shape->head_dim;
    float *landmarks = noise(1, n_floats, 1);
    for (int form = 0; form < 8; form++) {
        struct attn_options options = nystrom_options(shape->heads, shape->head_dim, shape->window, shape->landmarks);
        options.refresh = form & 1 ? ATTN_REFRESH_SPREAD : ATTN_REFRESH_IMMEDIATE;
        options.retroactive = form & 2;
        if (form & 4) {
            options.landmark_policy = ATTN_LANDMARKS_FIXED;
            options.q_landmarks = options.k_landmarks = landmarks;
        }
        check(&options);
    }
    free(landmarks);
}
END_TEST

enum { WIDTH = 8, HEADS = 2, WINDOW = 11 };

/* The tensors that no layer can do without, all zeros, and the model's norm. */
static size_t take_tensors(struct attn_tensor_data *tensors, char (*names)[32])
{
    static const float zeros[WIDTH * WIDTH];
    static const uint64_t shape[] = {WIDTH, WIDTH};
    static const char *const parts[] = {"norm1", "norm2", "ff1", "ff2"};
    size_t n = 0;
    for (int i = 0; i < 2 * 4 * 2 + 2; i++) {
        int block = i / 8, part = i / 2 % 4;
        bool bias = i % 2 != 0;
        if (block < 2)
            snprintf(names[n], sizeof(names[n]), "blocks.%d.%s.%s", block, parts[part], bias ? "bias" : "weight");
        else
            snprintf(names[n], sizeof(names[n]), "norm.%s", bias ? "bias" : "weight");
        tensors[n] = (struct attn_tensor_data){names[n], shape, block < 2 && part >= 2 && !bias ? 2 : 1, zeros};
        n++;
    }
    return n;
}

/* What a layer's attention has in the state of a model. */
static uint64_t of_layer(const struct attn_layer_description *layer)
{
    struct attn_options options = {.method = layer->method,
                                   .heads = HEADS,
                                   .head_dim = WIDTH / HEADS,
                                   .window = WINDOW,
                                   .landmarks = layer->landmarks,
                                   .refresh = layer->refresh,
                                   .retroactive = layer->retroactive};
    return by_the_manual(&options) - 64;
}

static void check_model(const struct attn_layer_description *layers, enum attn_residual_tap tap)
{
    char names[18][32];
    struct attn_tensor_data tensors[18];
    size_t n_tensors = take_tensors(tensors, names);
    struct attn_model_description description = {
        .size = sizeof(description),
        .input_dim = WIDTH,
        .model_dim = WIDTH,
        .heads = HEADS,
        .window = WINDOW,
        .residual_tap = tap,
        .head = ATTN_HEAD_IDENTITY,
        .n_layers = 2,
        .layers = layers,
    };
    struct attn_reason why = {""};
    struct stream stream;
    ck_assert_msg(attn_plan_build(&stream.plan, &description, tensors, n_tensors, NULL, &why) == 0, "%s", why.text);
    stream_start(&stream);
    uint64_t inputs = 4 * padded(WINDOW * WIDTH), expected = 64 + of_layer(&layers[0]);
    if (layers[0].retroactive)
        expected += inputs;
    else
        expected += of_layer(&layers[1]) + (tap == ATTN_TAP_OLDEST ? 2 * inputs : 0);
    ck_assert_uint_eq(stream.info.state_bytes, expected);
    stream_close(&stream);
}

START_TEST(states_of_models_have_the_size_of_the_manual)
{
    struct attn_layer_description layers[2] = {
        {.size = sizeof(layers[0]), .method = ATTN_NYSTROM, .landmarks = 3},
        {.size = sizeof(layers[1]), .method = ATTN_EXACT},
    };
    for (int form = 0; form < 8; form++) {
        layers[0].refresh = form & 1 ? ATTN_REFRESH_SPREAD : ATTN_REFRESH_IMMEDIATE;
        layers[0].retroactive = form & 2;
        check_model(layers, form & 4 ? ATTN_TAP_OLDEST : ATTN_TAP_NEWEST);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("state size");
    TCase *cases = tcase_create("state size");
    tcase_add_loop_test(cases, exact_states_have_the_size_of_the_manual, 0, N_SHAPES);
    tcase_add_loop_test(cases, nystrom_states_have_the_size_of_the_manual, 0, N_SHAPES);
    tcase_add_test(cases, states_of_models_have_the_size_of_the_manual);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
