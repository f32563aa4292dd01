/* SPDX-License-Identifier: MIT */
/* What a frame costs is known beforehand: with spread refresh no frame does more than twice the mean work, by the
 * library's own count, and states are no larger than promised. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "../run.h"
#include "stream.h"

enum { WINDOWS = 6, MOST_TIMES_THE_MEAN = 2 };

struct shape {
    uint32_t n, m, d, heads;
};

/* ⌊n/m⌋ is 4 at least. n mod m is 0 and not; one landmark; segments far longer than landmarks are many, and the other
 * way round; many heads; the shortest windows. */
static const struct shape shapes[] = {
    {120, 16, 192, 1}, {120, 16, 12, 16}, {64, 16, 16, 1},  {50, 7, 16, 2},   {130, 32, 8, 1}, {64, 1, 32, 1},
    {512, 8, 16, 1},   {256, 64, 8, 1},   {97, 24, 5, 1},   {23, 5, 4, 3},    {39, 8, 16, 1},  {8, 2, 5, 1},
    {4, 1, 4, 1},      {9, 2, 1, 1},      {1024, 32, 8, 1}, {127, 31, 16, 2}, {64, 3, 16, 1},  {2048, 4, 8, 1},
};

enum { N_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* What the frames of some whole windows cost. */
struct costs {
    size_t n;
    double mean[2], most[2]; /* multiply-adds, bytes */
    uint64_t when[2];        /* position of the most */
};

static void note(struct costs *costs, struct attn_work work, uint64_t t)
{
    const double own[] = {(double)work.multiply_adds, (double)work.bytes};
    costs->n++;
    for (int i = 0; i < 2; i++) {
        costs->mean[i] += (own[i] - costs->mean[i]) / (double)costs->n;
        if (own[i] > costs->most[i]) {
            costs->most[i] = own[i];
            costs->when[i] = t;
        }
    }
}

/* Pushes until the window is full and the landmarks are all there, and counts from then on. */
static struct costs count(const struct attn_options *options)
{
    struct costs costs = {0};
    struct stream stream;
    stream_open(&stream, options);
    size_t dim = stream.info.input_dim, full = 2 * (size_t)options->window, n_frames = full + WINDOWS * options->window;
    float *frames = noise(3, n_frames * dim, 1);
    float *output = malloc(attn_output_dim(stream.plan, ATTN_SCORES) * sizeof(float));
    for (size_t t = 0; t < n_frames; t++) {
        stream_push(&stream, frames + t * dim, output);
        if (t >= full)
            note(&costs, attn_last_work(stream.state), t);
    }
    stream_close(&stream);
    free(frames);
    free(output);
    return costs;
}

static void assert_flat(const struct attn_options *options, const char *what)
{
    const char *units[] = {"multiply-adds", "bytes"};
    struct costs costs = count(options);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(costs.mean[i] > 0, "%s: no %s are counted", what, units[i]);
        ck_assert_msg(costs.most[i] <= MOST_TIMES_THE_MEAN * costs.mean[i],
                      "%s n=%u m=%u d=%u H=%u: frame %llu takes %g %s, %.2f of the mean", what, options->window,
                      options->landmarks, options->head_dim, options->heads, (unsigned long long)costs.when[i],
                      costs.most[i], units[i], costs.most[i] / costs.mean[i]);
    }
}

static struct attn_options spread_options(struct shape shape)
{
    struct attn_options options = nystrom_options(shape.heads, shape.d, shape.n, shape.m);
    options.refresh = ATTN_REFRESH_SPREAD;
    return options;
}

/* _i: the shape, here and below. */
START_TEST(spread_refresh_is_flat)
{
    struct attn_options options = spread_options(shapes[_i]);
    assert_flat(&options, "means");
    options.inverse_scale = ATTN_INVERSE_HEADS;
    assert_flat(&options, "means heads");
}
END_TEST

START_TEST(spread_flips_of_fixed_landmarks_are_flat)
{
    struct attn_options options = spread_options(shapes[_i]);
    size_t n_floats = (size_t)shapes[_i].heads * shapes[_i].m * shapes[_i].d;
    float *landmarks = noise(7, 2 * n_floats, 1);
    options.landmark_policy = ATTN_LANDMARKS_FIXED;
    options.q_landmarks = landmarks;
    options.k_landmarks = landmarks + n_floats;
    assert_flat(&options, "fixed");
    free(landmarks);
}
END_TEST

START_TEST(retroactive_layers_are_flat)
{
    struct attn_options options = spread_options(shapes[_i]);
    if (options.window > 200)
        return;
    options.retroactive = 1;
    assert_flat(&options, "retroactive");
}
END_TEST

START_TEST(exact_attention_is_flat)
{
    struct attn_options options = exact_options(shapes[_i].heads, shapes[_i].d, shapes[_i].n);
    assert_flat(&options, "exact");
}
END_TEST

/* The count is one of real work: the least that a step can do is to read the keys, or m landmarks and values. */
START_TEST(work_is_counted)
{
    struct attn_options options = exact_options(2, 16, 50);
    struct costs costs = count(&options);
    ck_assert(costs.mean[0] >= 2.0 * 2 * 50 * 16);
    ck_assert(costs.mean[1] >= 4.0 * 2 * 2 * 50 * 16);
    for (size_t i = 0; i < N_SHAPES; i++) {
        options = spread_options(shapes[i]);
        costs = count(&options);
        double m = options.landmarks, d = options.head_dim, heads = options.heads;
        ck_assert_msg(costs.mean[0] >= heads * 4 * m * d, "shape %zu: %g multiply-adds", i, costs.mean[0]);
        ck_assert_msg(costs.mean[1] >= 4 * heads * 2 * m * d, "shape %zu: %g bytes", i, costs.mean[1]);
    }
}
END_TEST

START_TEST(refresh_does_not_change_what_is_to_be_done)
{
    struct attn_options options = spread_options(shapes[_i]);
    struct costs spread = count(&options);
    options.refresh = ATTN_REFRESH_IMMEDIATE;
    struct costs immediate = count(&options);
    ck_assert_msg(spread.mean[0] <= 2 * immediate.mean[0], "n=%u m=%u: %g multiply-adds a frame and not %g",
                  options.window, options.landmarks, spread.mean[0], immediate.mean[0]);
}
END_TEST

START_TEST(work_is_that_of_the_newest_frame_applied)
{
    struct attn_options options = spread_options(shapes[3]);
    struct stream stream;
    stream_open(&stream, &options);
    struct attn_work none = attn_last_work(stream.state);
    ck_assert_uint_eq(none.multiply_adds, 0);
    ck_assert_uint_eq(none.bytes, 0);
    size_t dim = stream.info.input_dim;
    float *frames = noise(3, 200 * dim, 1), *output = malloc(dim * sizeof(float));
    for (size_t t = 0; t < 200; t++) {
        float *frame = frames + t * dim, good = frame[5];
        struct attn_work before = attn_last_work(stream.state), after;
        frame[5] = NAN;
        ck_assert_int_eq(attn_push(stream.plan, stream.state, frame, ATTN_SCORES, output, stream.scratch),
                         ATTN_E_FRAME);
        after = attn_last_work(stream.state);
        ck_assert(before.multiply_adds == after.multiply_adds && before.bytes == after.bytes);
        frame[5] = good;
        stream_push(&stream, frame, output);
    }
    attn_reset(stream.plan, stream.state);
    ck_assert_uint_eq(attn_last_work(stream.state).multiply_adds, 0);
    stream_close(&stream);
    free(frames);
    free(output);
}
END_TEST

/* Alone, or in a batch of two. */
START_TEST(work_does_not_depend_on_the_batch)
{
    struct attn_options options = spread_options(shapes[3]);
    struct stream alone, other;
    stream_open(&alone, &options);
    stream_open(&other, &options);
    size_t dim = alone.info.input_dim;
    float *frames = noise(3, 200 * dim, 1), *output = malloc(3 * dim * sizeof(float));
    void *memory = aligned_alloc(ATTN_ALIGN, alone.info.state_bytes);
    void *scratch = aligned_alloc(ATTN_ALIGN, attn_scratch_bytes(alone.plan, 2));
    struct attn_state *third = attn_init(other.plan, memory);
    for (size_t t = 0; t < 200; t++) {
        const float *frame = frames + t * dim;
        struct attn_frame batch[] = {{.state = other.state, .frame = frame, .output = output + dim},
                                     {.state = third, .frame = frame, .output = output + 2 * dim}};
        stream_push(&alone, frame, output);
        ck_assert_uint_eq(attn_push_batch(other.plan, batch, 2, scratch), 2);
        ck_assert_uint_eq(attn_last_work(alone.state).multiply_adds, attn_last_work(other.state).multiply_adds);
        ck_assert_uint_eq(attn_last_work(alone.state).bytes, attn_last_work(third).bytes);
    }
    stream_close(&alone);
    stream_close(&other);
    free(memory);
    free(scratch);
    free(frames);
    free(output);
}
END_TEST

/* 4H(2nd + m²d + ⌈n/m⌉md + 5md + 3m²) bytes, and a quarter, whatever the refresh. */
START_TEST(states_are_no_larger_than_promised)
{
    for (size_t i = 0; i < N_SHAPES; i++) {
        double n = shapes[i].n, m = shapes[i].m, d = shapes[i].d, heads = shapes[i].heads;
        if (d < 12)
            continue;
        double promised = 4 * heads * (2 * n * d + m * m * d + ceil(n / m) * m * d + 5 * m * d + 3 * m * m);
        struct attn_options options = spread_options(shapes[i]);
        for (int refresh = ATTN_REFRESH_IMMEDIATE; refresh <= ATTN_REFRESH_SPREAD; refresh++) {
            options.refresh = (enum attn_refresh)refresh;
            struct stream stream;
            stream_open(&stream, &options);
            ck_assert_msg((double)stream.info.state_bytes <= 1.25 * promised,
                          "n %g m %g d %g H %g refresh %d: %zu bytes, %.2f of %g", n, m, d, heads, refresh,
                          stream.info.state_bytes, (double)stream.info.state_bytes / promised, promised);
            stream_close(&stream);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("flat");
    TCase *cases = tcase_create("flat");
    tcase_add_loop_test(cases, spread_refresh_is_flat, 0, N_SHAPES);
    tcase_add_loop_test(cases, spread_flips_of_fixed_landmarks_are_flat, 0, N_SHAPES);
    tcase_add_loop_test(cases, retroactive_layers_are_flat, 0, N_SHAPES);
    tcase_add_loop_test(cases, exact_attention_is_flat, 0, N_SHAPES);
    tcase_add_test(cases, work_is_counted);
    tcase_add_loop_test(cases, refresh_does_not_change_what_is_to_be_done, 0, N_SHAPES);
    tcase_add_test(cases, work_is_that_of_the_newest_frame_applied);
    tcase_add_test(cases, work_does_not_depend_on_the_batch);
    tcase_add_test(cases, states_are_no_larger_than_promised);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
