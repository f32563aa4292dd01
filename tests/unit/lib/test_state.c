/* SPDX-License-Identifier: MIT */
/* What a state may depend on: its own applied frames of the last R positions, and nothing else. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "../run.h"
#include "attention.h"
#include "denormals.h"
#include "stream.h"

enum { HEADS = 2, DIM = 5, MODEL_DIM = HEADS * DIM, FRAME = 3 * MODEL_DIM, MOST_LANDMARKS = 16 };

struct variant {
    enum attn_method method;
    enum attn_landmark_policy policy;
    uint32_t window, landmarks;
};

static const struct variant variants[] = {
    {ATTN_EXACT, ATTN_LANDMARKS_MEANS, 9, 0},    {ATTN_NYSTROM, ATTN_LANDMARKS_MEANS, 12, 4},
    {ATTN_NYSTROM, ATTN_LANDMARKS_MEANS, 13, 5}, {ATTN_NYSTROM, ATTN_LANDMARKS_MEANS, 8, 1},
    {ATTN_NYSTROM, ATTN_LANDMARKS_MEANS, 6, 6},  {ATTN_NYSTROM, ATTN_LANDMARKS_FIXED, 12, 4},
    {ATTN_NYSTROM, ATTN_LANDMARKS_FIXED, 13, 5}, {ATTN_NYSTROM, ATTN_LANDMARKS_FIXED, 5, 12},
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
    if (options.landmark_policy == ATTN_LANDMARKS_FIXED)
        options.q_landmarks = options.k_landmarks = fixed_landmarks;
    return options;
}

static void open_variant(struct stream *stream, int i)
{
    struct attn_options options = options_of(i);
    stream_open(stream, &options);
}

static void same_bits(const float *a, const float *b, size_t t)
{
    ck_assert_msg(memcmp(a, b, MODEL_DIM * sizeof(float)) == 0, "outputs of frame %zu differ", t);
}

/* Two streams whose frames differ at first, and are the same for R positions: from then on so are their outputs, bit
 * for bit. _i: the variant. The difference begins at each phase of the segments in turn. */
START_TEST(history_does_not_show)
{
    size_t n = variants[_i].window;
    for (size_t different = 2 * n; different < 3 * n; different++) {
        struct stream a, b;
        float outputs[2][MODEL_DIM];
        open_variant(&a, _i);
        open_variant(&b, _i);
        size_t n_frames = different + a.info.replay_frames + n;
        float *frames = noise(1, n_frames * FRAME, 1), *others = noise(2, different * FRAME, 5);
        for (size_t t = 0; t < n_frames; t++) {
            stream_push(&a, frames + t * FRAME, outputs[0]);
            stream_push(&b, (t < different ? others : frames) + t * FRAME, outputs[1]);
            if (t + 1 >= different + a.info.replay_frames)
                same_bits(outputs[0], outputs[1], t);
        }
        stream_close(&a);
        stream_close(&b);
        free(frames);
        free(others);
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
        float outputs[2][MODEL_DIM];
        open_variant(&a, _i);
        open_variant(&b, _i);
        size_t n_frames = different + a.info.replay_frames - 1;
        float *frames = noise(1, n_frames * FRAME, 1), *others = noise(2, different * FRAME, 1);
        for (size_t t = 0; t < n_frames; t++) {
            stream_push(&a, frames + t * FRAME, outputs[0]);
            stream_push(&b, (t < different ? others : frames) + t * FRAME, outputs[1]);
        }
        differences += memcmp(outputs[0], outputs[1], sizeof(outputs[0])) != 0;
        stream_close(&a);
        stream_close(&b);
        free(frames);
        free(others);
    }
    ck_assert_uint_gt(differences, 0);
}
END_TEST

/* An empty state that is given the frames from position `first` on, each at its position, answers from the R-th of them
 * on with the bits of the stream that had them all. */
START_TEST(replayed_frames_give_the_same_bits)
{
    struct attn_options options = options_of(_i);
    struct attn_attention *attention;
    ck_assert_int_eq(attn_attention_new(&attention, &options, NULL), 0);
    size_t n = options.window, n_frames = 6 * n, replay = attn_attention_replay_frames(attention);
    float *frames = noise(1, n_frames * FRAME, 1), *outputs = malloc(n_frames * MODEL_DIM * sizeof(float));
    float *state = aligned_alloc(ATTN_ALIGN, attn_attention_state_bytes(attention)), output[MODEL_DIM];
    float *scratch = aligned_alloc(ATTN_ALIGN, attn_attention_scratch_bytes(attention));
    attn_attention_reset(attention, state);
    for (size_t t = 0; t < n_frames; t++)
        attn_attention_step(attention, state, t, frames + t * FRAME, outputs + t * MODEL_DIM, scratch);
    for (size_t first = 1; first < 3 * n; first++) {
        attn_attention_reset(attention, state);
        for (size_t t = first; t < n_frames; t++) {
            attn_attention_step(attention, state, t, frames + t * FRAME, output, scratch);
            if (t + 1 >= first + replay)
                same_bits(output, outputs + t * MODEL_DIM, t);
        }
    }
    attn_attention_free(attention);
    free(frames);
    free(outputs);
    free(state);
    free(scratch);
}
END_TEST

START_TEST(reset_equals_fresh)
{
    struct stream used, fresh;
    float outputs[2][MODEL_DIM];
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
        same_bits(outputs[0], outputs[1], t);
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
    float outputs[2][MODEL_DIM];
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
        same_bits(outputs[0], outputs[1], t);
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
    float outputs[2][MODEL_DIM];
    open_variant(&all, _i);
    open_variant(&some, _i);
    size_t n_frames = 4 * variants[_i].window;
    float *frames = noise(1, n_frames * FRAME, 1);
    for (size_t t = 0; t < n_frames; t++) {
        stream_push(&all, frames + t * FRAME, outputs[0]);
        stream_push(&some, frames + t * FRAME, t % 7 == 6 ? outputs[1] : NULL);
        if (t % 7 == 6)
            same_bits(outputs[0], outputs[1], t);
    }
    ck_assert_int_eq(memcmp(all.state, some.state, all.info.state_bytes), 0);
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
    float output[MODEL_DIM];
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
    float frame[FRAME] = {0}, output[MODEL_DIM];
    open_variant(&stream, _i);
    for (size_t i = 2 * MODEL_DIM; i < FRAME; i++)
        frame[i] = FLT_MIN / 4;
    for (size_t t = 0; t < 2 * (size_t)variants[_i].window; t++) {
        stream_push(&stream, frame, output);
        for (size_t i = 0; i < MODEL_DIM; i++)
            ck_assert(output[i] == 0.0f);
    }
    volatile float least = FLT_MIN;
    ck_assert(least / 4 != 0.0f);
    stream_close(&stream);
}
END_TEST
#endif

START_TEST(outputs_that_a_plan_has_not_are_refused)
{
    struct stream stream;
    float frame[FRAME] = {0}, output[MODEL_DIM];
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

/* 4H(2nd + m²d + ⌈n/m⌉md + 5md + 3m²) bytes, and a quarter. */
START_TEST(states_are_no_larger_than_promised)
{
    const uint32_t shapes[][4] = {
        {120, 16, 192, 1}, {120, 16, 12, 16}, {120, 7, 64, 4}, {64, 1, 64, 1}, {512, 32, 64, 4}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        double n = shapes[i][0], m = shapes[i][1], d = shapes[i][2], heads = shapes[i][3];
        struct attn_options options = nystrom_options(shapes[i][3], shapes[i][2], shapes[i][0], shapes[i][1]);
        struct stream stream;
        stream_open(&stream, &options);
        double promised = 4 * heads * (2 * n * d + m * m * d + ceil(n / m) * m * d + 5 * m * d + 3 * m * m);
        ck_assert_msg((double)stream.info.state_bytes <= 1.25 * promised, "n %g m %g d %g H %g: %zu bytes, not %g", n,
                      m, d, heads, stream.info.state_bytes, promised);
        stream_close(&stream);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("state");
    TCase *cases = tcase_create("state");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, history_does_not_show, 0, N_VARIANTS);
    tcase_add_loop_test(cases, replay_length_is_tight, 0, N_VARIANTS);
    tcase_add_loop_test(cases, replayed_frames_give_the_same_bits, 0, N_VARIANTS);
    tcase_add_loop_test(cases, reset_equals_fresh, 0, N_VARIANTS);
    tcase_add_loop_test(cases, memory_need_not_be_clean, 0, N_VARIANTS);
    tcase_add_loop_test(cases, frames_without_output_advance_the_state_equally, 0, N_VARIANTS);
    tcase_add_loop_test(cases, refused_frames_change_nothing, 0, N_VARIANTS);
#if ATTN_FLUSHES_DENORMALS
    tcase_add_loop_test(cases, denormals_count_as_zero, 0, N_VARIANTS);
#endif
    tcase_add_loop_test(cases, outputs_that_a_plan_has_not_are_refused, 0, N_VARIANTS);
    tcase_add_loop_test(cases, sizes_are_aligned, 0, N_VARIANTS);
    tcase_add_test(cases, states_are_no_larger_than_promised);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
