/* SPDX-License-Identifier: MIT */
/* What a state may depend on: its own applied frames of the last R positions, and nothing else. */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "../run.h"
#include "denormals.h"
#include "stream.h"

enum { HEADS = 2, DIM = 5, MODEL_DIM = HEADS * DIM, FRAME = 3 * MODEL_DIM, MOST_LANDMARKS = 16 };
enum { MOST_WINDOW = 13, MOST_OUTPUT = MOST_WINDOW * MODEL_DIM };

struct variant {
    enum attn_method method;
    enum attn_landmark_policy policy;
    uint32_t window, landmarks;
    enum attn_refresh refresh;
    int retroactive;
};

#define MEANS ATTN_NYSTROM, ATTN_LANDMARKS_MEANS
#define FIXED ATTN_NYSTROM, ATTN_LANDMARKS_FIXED
#define EXACT ATTN_EXACT, ATTN_LANDMARKS_MEANS

static const struct variant variants[] = {
    {EXACT, 9, 0, ATTN_REFRESH_IMMEDIATE, 0},  {MEANS, 12, 4, ATTN_REFRESH_IMMEDIATE, 0},
    {MEANS, 13, 5, ATTN_REFRESH_IMMEDIATE, 0}, {MEANS, 8, 1, ATTN_REFRESH_IMMEDIATE, 0},
    {MEANS, 6, 6, ATTN_REFRESH_IMMEDIATE, 0},  {FIXED, 12, 4, ATTN_REFRESH_IMMEDIATE, 0},
    {FIXED, 13, 5, ATTN_REFRESH_IMMEDIATE, 0}, {FIXED, 5, 12, ATTN_REFRESH_IMMEDIATE, 0},
    {MEANS, 12, 4, ATTN_REFRESH_SPREAD, 0},    {MEANS, 13, 5, ATTN_REFRESH_SPREAD, 0},
    {MEANS, 12, 2, ATTN_REFRESH_SPREAD, 0},    {FIXED, 13, 5, ATTN_REFRESH_SPREAD, 0},
    {EXACT, 6, 0, ATTN_REFRESH_IMMEDIATE, 1},  {MEANS, 12, 4, ATTN_REFRESH_IMMEDIATE, 1},
    {MEANS, 13, 5, ATTN_REFRESH_SPREAD, 1},    {FIXED, 13, 5, ATTN_REFRESH_IMMEDIATE, 1},
};

enum { N_VARIANTS = sizeof(variants) / sizeof(variants[0]) };

static float *fixed_landmarks;

static void setup(void)
{
    fixed_landmarks = noise(11, MOST_LANDMARKS * MODEL_DIM, 1);
}

static void teardown(void)
{
    free(fixed_landmarks);
}

static struct attn_options options_of(int i)
{
    struct attn_options options = nystrom_options(HEADS, DIM, variants[i].window, variants[i].landmarks);
    options.method = variants[i].method;
    options.landmark_policy = variants[i].policy;
    options.refresh = variants[i].refresh;
    options.retroactive = variants[i].retroactive;
    if (options.landmark_policy == ATTN_LANDMARKS_FIXED)
        options.q_landmarks = options.k_landmarks = fixed_landmarks;
    return options;
}

static void open_variant(struct stream *stream, int i)
{
    struct attn_options options = options_of(i);
    stream_open(stream, &options);
}

static void same_bits(const struct stream *stream, const float *a, const float *b, size_t t)
{
    ck_assert_msg(memcmp(a, b, stream->output_dim * sizeof(float)) == 0, "outputs of frame %zu differ", t);
}

/* Two streams whose frames differ at first, and are the same for R positions: from then on so are their outputs, bit
 * for bit. _i: the variant. The difference begins at each phase of the segments in turn. */
START_TEST(history_does_not_show)
{
    size_t n = variants[_i].window;
    for (size_t different = 2 * n; different < 3 * n; different++) {
        struct stream a, b;
        float outputs[2][MOST_OUTPUT];
        open_variant(&a, _i);
        open_variant(&b, _i);
        size_t n_frames = different + a.info.replay_frames + n;
        float *frames = noise(1, n_frames * FRAME, 1), *others = noise(2, different * FRAME, 5);
        for (size_t t = 0; t < n_frames; t++) {
            stream_push(&a, frames + t * FRAME, outputs[0]);
            stream_push(&b, (t < different ? others : frames) + t * FRAME, outputs[1]);
            if (t + 1 >= different + a.info.replay_frames)
                same_bits(&a, outputs[0], outputs[1], t);
        }
        stream_close(&a);
        stream_close(&b);
        free(frames);
        free(others);
    }
}
END_TEST

/* A frame of giants at position `at` of a stream that is otherwise as another: from R frames later on the outputs have
 * the bits of that other, and another R later the states have. */
static void forgets_giants(const struct attn_options *options, const float *giant, size_t at)
{
    struct stream a, b;
    stream_open(&a, options);
    stream_open(&b, options);
    size_t size = a.info.input_dim, n_frames = at + 1 + 2 * a.info.replay_frames;
    float *frames = noise(1, n_frames * size, 1);
    float *outputs[2] = {malloc(a.output_dim * sizeof(float)), malloc(a.output_dim * sizeof(float))};
    for (size_t t = 0; t < n_frames; t++) {
        stream_push(&a, frames + t * size, outputs[0]);
        stream_push(&b, t == at ? giant : frames + t * size, outputs[1]);
        if (t < at + a.info.replay_frames)
            continue;
        same_bits(&a, outputs[0], outputs[1], t);
        ck_assert_uint_eq(attn_first_not_finite(outputs[1], a.output_dim), a.output_dim);
    }
    ck_assert_msg(memcmp(a.state, b.state, a.info.state_bytes) == 0, "frame %zu is still in the state", at);
    stream_close(&a);
    stream_close(&b);
    free(outputs[0]);
    free(outputs[1]);
    free(frames);
}

/* At each phase of the segments: all of the frame, or its queries, keys or values alone. */
START_TEST(giant_frames_leave_no_trace)
{
    const enum attn_variant kernels[] = {ATTN_VARIANT_GENERIC, ATTN_VARIANT_BEST};
    struct attn_options options = options_of(_i);
    size_t n = variants[_i].window;
    for (size_t i = 0; i < 8 * n; i++) {
        float *giant = giants((uint32_t)i, FRAME), *usual = noise(3, FRAME, 1);
        options.variant = kernels[i / 4 % 2];
        for (size_t part = 0; i % 4 != 0 && part < 3; part++)
            if (part != i % 4 - 1)
                memcpy(giant + part * MODEL_DIM, usual + part * MODEL_DIM, MODEL_DIM * sizeof(float));
        forgets_giants(&options, giant, n + i / 8);
        free(giant);
        free(usual);
    }
}
END_TEST

/* Windows that are summed in more steps. */
START_TEST(giant_frames_leave_no_trace_in_long_windows)
{
    enum { WINDOW = 1100, D = 2, M = 4 };
    for (int i = 0; i < 4; i++) {
        struct attn_options options = nystrom_options(1, D, WINDOW, M);
        float *giant = giants((uint32_t)i, 3 * D);
        options.refresh = i % 2 == 0 ? ATTN_REFRESH_IMMEDIATE : ATTN_REFRESH_SPREAD;
        if (i / 2 != 0) {
            options.landmark_policy = ATTN_LANDMARKS_FIXED;
            options.q_landmarks = options.k_landmarks = fixed_landmarks;
        }
        forgets_giants(&options, giant, WINDOW + 300);
        free(giant);
    }
}
END_TEST

/* With one frame less in common the landmarks from segments still show it somewhere: R is not larger than it has to be.
 */
START_TEST(replay_length_is_tight)
{
    size_t n = variants[_i].window, differences = 0;
    for (size_t different = 2 * n; different < 3 * n; different++) {
        struct stream a, b;
        float outputs[2][MOST_OUTPUT];
        open_variant(&a, _i);
        open_variant(&b, _i);
        size_t n_frames = different + a.info.replay_frames - 1;
        float *frames = noise(1, n_frames * FRAME, 1), *others = noise(2, different * FRAME, 1);
        for (size_t t = 0; t < n_frames; t++) {
            stream_push(&a, frames + t * FRAME, outputs[0]);
            stream_push(&b, (t < different ? others : frames) + t * FRAME, outputs[1]);
        }
        differences += memcmp(outputs[0], outputs[1], a.output_dim * sizeof(float)) != 0;
        stream_close(&a);
        stream_close(&b);
        free(frames);
        free(others);
    }
    ck_assert_uint_gt(differences, 0);
}
END_TEST

/* A state that begins at position `first`, and is given the frames from there on, answers from the R-th of them on with
 * the bits of the stream that had them all. */
START_TEST(replayed_frames_give_the_same_bits)
{
    struct stream whole, replay;
    float output[MOST_OUTPUT];
    open_variant(&whole, _i);
    open_variant(&replay, _i);
    size_t n = variants[_i].window, n_frames = 6 * n, size = whole.output_dim;
    float *frames = noise(1, n_frames * FRAME, 1), *outputs = malloc(n_frames * size * sizeof(float));
    for (size_t t = 0; t < n_frames; t++)
        stream_push(&whole, frames + t * FRAME, outputs + t * size);
    for (size_t first = 1; first < 3 * n; first++) {
        attn_init_at(replay.plan, replay.state, first);
        ck_assert_uint_eq(attn_applied(replay.state), 0);
        for (size_t t = first; t < n_frames; t++) {
            ck_assert_uint_eq(attn_position(replay.state), t);
            stream_push(&replay, frames + t * FRAME, output);
            if (t + 1 >= first + replay.info.replay_frames)
                same_bits(&whole, output, outputs + t * size, t);
        }
        ck_assert_uint_eq(attn_applied(replay.state), n_frames - first);
    }
    stream_close(&whole);
    stream_close(&replay);
    free(frames);
    free(outputs);
}
END_TEST

/* Rows of positions before the first are zeros, and those of a stream that has just begun are at the end. */
START_TEST(rows_that_are_not_there_are_zeros)
{
    struct stream stream;
    float output[MOST_OUTPUT];
    open_variant(&stream, _i);
    size_t n_rows = stream.info.output_rows, n = variants[_i].window;
    ck_assert_uint_eq(n_rows, variants[_i].retroactive ? n : 1);
    ck_assert_uint_eq(stream.output_dim, n_rows * MODEL_DIM);
    float *frames = noise(1, 2 * n * FRAME, 1);
    for (size_t t = 0; t < 2 * n; t++) {
        memset(output, 0xff, sizeof(output));
        stream_push(&stream, frames + t * FRAME, output);
        for (size_t i = 0; i < stream.output_dim; i++) {
            bool is_there = i / MODEL_DIM + t + 1 >= n_rows;
            ck_assert_msg(isfinite(output[i]) && (output[i] != 0.0f) == is_there, "frame %zu, row %zu: %g", t,
                          i / MODEL_DIM, output[i]);
        }
    }
    stream_close(&stream);
    free(frames);
}
END_TEST

/* The work is counted anew at each frame, and nothing is counted that was not done. */
START_TEST(work_is_that_of_the_newest_frame)
{
    struct stream stream;
    float output[MOST_OUTPUT];
    open_variant(&stream, _i);
    size_t n = variants[_i].window;
    float *frames = noise(1, 3 * n * FRAME, 1);
    ck_assert_uint_eq(attn_last_work(stream.state).multiply_adds, 0);
    ck_assert_uint_eq(attn_last_work(stream.state).bytes, 0);
    for (size_t t = 0; t < 3 * n; t++) {
        stream_push(&stream, frames + t * FRAME, output);
        struct attn_work work = attn_last_work(stream.state);
        ck_assert_uint_gt(work.multiply_adds, 0);
        ck_assert_uint_ge(work.bytes, FRAME * sizeof(float));
        ck_assert_uint_lt(work.multiply_adds, 1000000); /* all frames so far would be more */
    }
    attn_reset(stream.plan, stream.state);
    ck_assert_uint_eq(attn_last_work(stream.state).multiply_adds, 0);
    stream_close(&stream);
    free(frames);
}
END_TEST

START_TEST(verifying_accepts_good_states_and_changes_nothing)
{
    struct stream stream;
    float output[MOST_OUTPUT];
    double difference = 1;
    open_variant(&stream, _i);
    ck_assert_int_eq(attn_verify(stream.plan, stream.state, &difference), ATTN_E_OPTIONS);
    size_t n_frames = 3 * (size_t)variants[_i].window;
    float *frames = noise(1, n_frames * FRAME, 1);
    unsigned char *before = malloc(stream.info.state_bytes);
    for (size_t t = 0; t < n_frames; t++) {
        stream_push(&stream, frames + t * FRAME, output);
        memcpy(before, stream.state, stream.info.state_bytes);
        ck_assert_int_eq(attn_verify(stream.plan, stream.state, &difference), 0);
        ck_assert_msg(difference >= 0 && difference < 1e-5, "frame %zu: %g", t, difference);
        ck_assert_int_eq(memcmp(before, stream.state, stream.info.state_bytes), 0);
    }
    stream_close(&stream);
    free(frames);
    free(before);
}
END_TEST

/* One value after another is spoilt. What stands for the frames themselves cannot be told from others; what was summed
 * up of them can, where anything was. */
START_TEST(verifying_finds_damaged_states)
{
    struct stream stream;
    bool is_exact = variants[_i].method == ATTN_EXACT ||
                    (variants[_i].policy == ATTN_LANDMARKS_MEANS && variants[_i].landmarks >= variants[_i].window);
    bool sums_nothing = is_exact || (variants[_i].policy == ATTN_LANDMARKS_FIXED && variants[_i].retroactive);
    open_variant(&stream, _i);
    size_t n_frames = 3 * (size_t)variants[_i].window, n_found = 0;
    float *frames = noise(1, n_frames * FRAME, 1), *values = (float *)stream.state;
    for (size_t t = 0; t < n_frames; t++)
        stream_push(&stream, frames + t * FRAME, NULL);
    for (size_t i = ATTN_ALIGN / sizeof(float); i < stream.info.state_bytes / sizeof(float); i++) {
        double difference;
        float good = values[i];
        values[i] += 0.5f;
        ck_assert_int_eq(attn_verify(stream.plan, stream.state, &difference), 0);
        n_found += !(difference < 1e-4);
        values[i] = good;
    }
    if (!sums_nothing)
        ck_assert_uint_gt(n_found, MODEL_DIM);
    stream_close(&stream);
    free(frames);
}
END_TEST

/* The reference that needs no state, and the steps. */
START_TEST(recomputing_gives_the_same_outputs)
{
    struct stream stream;
    float outputs[2][MOST_OUTPUT];
    open_variant(&stream, _i);
    size_t n_frames = 4 * (size_t)variants[_i].window;
    float *frames = noise(1, n_frames * FRAME, 1);
    ck_assert_int_eq(attn_batch(stream.plan, frames, 0, outputs[1]), ATTN_E_OPTIONS);
    for (size_t t = 0; t < n_frames; t++) {
        stream_push(&stream, frames + t * FRAME, outputs[0]);
        memset(outputs[1], 0xff, sizeof(outputs[1]));
        ck_assert_int_eq(attn_batch(stream.plan, frames, t + 1, outputs[1]), 0);
        for (size_t i = 0; i < stream.output_dim; i++)
            ck_assert_msg(fabsf(outputs[0][i] - outputs[1][i]) < 1e-5f, "frame %zu, float %zu: %g and %g", t, i,
                          outputs[0][i], outputs[1][i]);
    }
    stream_close(&stream);
    free(frames);
}
END_TEST

START_TEST(reset_equals_fresh)
{
    struct stream used, fresh;
    float outputs[2][MOST_OUTPUT];
    open_variant(&used, _i);
    open_variant(&fresh, _i);
    size_t n_frames = 3 * variants[_i].window;
    float *frames = noise(1, n_frames * FRAME, 1), *before = noise(2, n_frames * FRAME, 30);
    for (size_t t = 0; t < n_frames - 1; t++)
        stream_push(&used, before + t * FRAME, outputs[0]);
    attn_reset(used.plan, used.state);
    ck_assert_uint_eq(attn_applied(used.state), 0);
    ck_assert_int_eq(memcmp(used.state, fresh.state, used.info.state_bytes), 0);
    for (size_t t = 0; t < n_frames; t++) {
        stream_push(&used, frames + t * FRAME, outputs[0]);
        stream_push(&fresh, frames + t * FRAME, outputs[1]);
        same_bits(&used, outputs[0], outputs[1], t);
    }
    stream_close(&used);
    stream_close(&fresh);
    free(frames);
    free(before);
}
END_TEST

/* What the memory held before does not matter, nor what the scratch memory holds. */
START_TEST(memory_need_not_be_clean)
{
    struct stream clean, dirty;
    float outputs[2][MOST_OUTPUT];
    open_variant(&clean, _i);
    open_variant(&dirty, _i);
    memset(dirty.state, 0xff, dirty.info.state_bytes);
    attn_init(dirty.plan, dirty.state);
    size_t n_frames = 3 * variants[_i].window;
    float *frames = noise(1, n_frames * FRAME, 1);
    for (size_t t = 0; t < n_frames; t++) {
        memset(dirty.scratch, 0xff, dirty.info.scratch_bytes);
        stream_push(&clean, frames + t * FRAME, outputs[0]);
        stream_push(&dirty, frames + t * FRAME, outputs[1]);
        same_bits(&clean, outputs[0], outputs[1], t);
    }
    ck_assert_int_eq(memcmp(clean.state, dirty.state, clean.info.state_bytes), 0);
    stream_close(&clean);
    stream_close(&dirty);
    free(frames);
}
END_TEST

START_TEST(frames_without_output_advance_the_state_equally)
{
    struct stream all, some;
    float outputs[2][MOST_OUTPUT];
    open_variant(&all, _i);
    open_variant(&some, _i);
    size_t n_frames = 4 * variants[_i].window;
    float *frames = noise(1, n_frames * FRAME, 1);
    for (size_t t = 0; t < n_frames; t++) {
        stream_push(&all, frames + t * FRAME, outputs[0]);
        stream_push(&some, frames + t * FRAME, t % 7 == 6 ? outputs[1] : NULL);
        if (t % 7 == 6)
            same_bits(&all, outputs[0], outputs[1], t);
    }
    /* All but the header, in which the work of the newest frame is another. */
    ck_assert_int_eq(
        memcmp((char *)all.state + ATTN_ALIGN, (char *)some.state + ATTN_ALIGN, all.info.state_bytes - ATTN_ALIGN), 0);
    stream_close(&all);
    stream_close(&some);
    free(frames);
}
END_TEST

/* A NaN or an infinity, wherever it is in the frame. */
START_TEST(refused_frames_change_nothing)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    struct stream stream;
    float output[MOST_OUTPUT];
    open_variant(&stream, _i);
    size_t n_frames = 2 * variants[_i].window;
    float *frames = noise(1, n_frames * FRAME, 1);
    unsigned char *before = malloc(stream.info.state_bytes);
    for (size_t t = 0; t < n_frames; t++) {
        float *frame = frames + t * FRAME;
        memcpy(before, stream.state, stream.info.state_bytes);
        for (size_t at = 0; at < FRAME; at++) {
            float good = frame[at];
            frame[at] = bad[(t + at) % 3];
            ck_assert_uint_eq(attn_first_not_finite(frame, FRAME), at);
            ck_assert_int_eq(attn_push(stream.plan, stream.state, frame, ATTN_SCORES, output, stream.scratch),
                             ATTN_E_FRAME);
            frame[at] = good;
        }
        ck_assert_int_eq(memcmp(before, stream.state, stream.info.state_bytes), 0);
        stream_push(&stream, frame, output);
    }
    ck_assert_uint_eq(attn_applied(stream.state), n_frames);
    stream_close(&stream);
    free(frames);
    free(before);
}
END_TEST

#if ATTN_FLUSHES_DENORMALS
/* They would take a hundred times as long. The caller's own arithmetic keeps them. */
START_TEST(denormals_count_as_zero)
{
    struct stream stream;
    float frame[FRAME] = {0}, output[MOST_OUTPUT];
    open_variant(&stream, _i);
    for (size_t i = 2 * MODEL_DIM; i < FRAME; i++)
        frame[i] = FLT_MIN / 4;
    for (size_t t = 0; t < 2 * (size_t)variants[_i].window; t++) {
        stream_push(&stream, frame, output);
        for (size_t i = 0; i < stream.output_dim; i++)
            ck_assert(output[i] == 0.0f);
    }
    volatile float least = FLT_MIN;
    ck_assert(least / 4 != 0.0f);
    stream_close(&stream);
}
END_TEST
#endif

#if ATTN_FLUSHES_DENORMALS
/* Outputs [16][4] of a plan that is made in the mode in which denormals are 0, or in the usual one. Far landmarks make
 * tiny weights, and one huge value makes them show. */
static void push_far(uint32_t seed, bool flushed, float *outputs)
{
    enum { D = 4, M = 8, N = 16 };
    float *landmarks = noise(seed, 2 * M * D, 6), *frames = noise(seed + 1, N * 3 * D, 6);
    struct attn_options options = nystrom_options(1, D, N, M);
    struct stream stream;
    options.landmark_policy = ATTN_LANDMARKS_FIXED;
    options.q_landmarks = landmarks;
    options.k_landmarks = landmarks + M * D;
    uint64_t mode = flushed ? attn_denormals_flush() : 0;
    stream_open(&stream, &options);
    if (flushed)
        attn_denormals_restore(mode);
    for (size_t t = 0; t < N; t++) {
        for (size_t i = 2 * D; i < 3 * D; i++)
            frames[t * 3 * D + i] = t == seed % N ? 1e37f : 0.0f;
        stream_push(&stream, frames + t * 3 * D, outputs + t * D);
    }
    stream_close(&stream);
    free(landmarks);
    free(frames);
}

START_TEST(the_mode_in_which_a_plan_is_made_does_not_show)
{
    float outputs[2][16 * 4];
    for (uint32_t seed = 1; seed < 4000; seed++) {
        push_far(seed, false, outputs[0]);
        push_far(seed, true, outputs[1]);
        ck_assert_msg(memcmp(outputs[0], outputs[1], sizeof(outputs[0])) == 0, "seed %u", seed);
    }
}
END_TEST
#endif

START_TEST(outputs_that_a_plan_has_not_are_refused)
{
    struct stream stream;
    float frame[FRAME] = {0}, output[MOST_OUTPUT];
    open_variant(&stream, _i);
    ck_assert_int_eq(attn_push(stream.plan, stream.state, frame, ATTN_LOGITS, output, stream.scratch), ATTN_E_OPTIONS);
    ck_assert_uint_eq(attn_applied(stream.state), 0);
    stream_close(&stream);
}
END_TEST

START_TEST(sizes_are_aligned)
{
    struct stream stream;
    open_variant(&stream, _i);
    ck_assert_uint_eq(stream.info.state_bytes % ATTN_ALIGN, 0);
    ck_assert_uint_eq(stream.info.scratch_bytes % ATTN_ALIGN, 0);
    stream_close(&stream);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("state");
    TCase *cases = tcase_create("state");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, history_does_not_show, 0, N_VARIANTS);
    tcase_add_loop_test(cases, giant_frames_leave_no_trace, 0, N_VARIANTS);
    tcase_add_test(cases, giant_frames_leave_no_trace_in_long_windows);
    tcase_add_loop_test(cases, replay_length_is_tight, 0, N_VARIANTS);
    tcase_add_loop_test(cases, replayed_frames_give_the_same_bits, 0, N_VARIANTS);
    tcase_add_loop_test(cases, rows_that_are_not_there_are_zeros, 0, N_VARIANTS);
    tcase_add_loop_test(cases, work_is_that_of_the_newest_frame, 0, N_VARIANTS);
    tcase_add_loop_test(cases, verifying_accepts_good_states_and_changes_nothing, 0, N_VARIANTS);
    tcase_add_loop_test(cases, verifying_finds_damaged_states, 0, N_VARIANTS);
    tcase_add_loop_test(cases, recomputing_gives_the_same_outputs, 0, N_VARIANTS);
    tcase_add_loop_test(cases, reset_equals_fresh, 0, N_VARIANTS);
    tcase_add_loop_test(cases, memory_need_not_be_clean, 0, N_VARIANTS);
    tcase_add_loop_test(cases, frames_without_output_advance_the_state_equally, 0, N_VARIANTS);
    tcase_add_loop_test(cases, refused_frames_change_nothing, 0, N_VARIANTS);
#if ATTN_FLUSHES_DENORMALS
    tcase_add_loop_test(cases, denormals_count_as_zero, 0, N_VARIANTS);
    tcase_add_test(cases, the_mode_in_which_a_plan_is_made_does_not_show);
#endif
    tcase_add_loop_test(cases, outputs_that_a_plan_has_not_are_refused, 0, N_VARIANTS);
    tcase_add_loop_test(cases, sizes_are_aligned, 0, N_VARIANTS);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
