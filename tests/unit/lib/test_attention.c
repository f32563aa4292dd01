/* SPDX-License-Identifier: MIT */
/* Every frame of a few windows against the formulas in double: small shapes, where that is affordable. */
#include <math.h>

#include "../run.h"
#include "stream.h"

/* Relative to max|v| of the window, which is around 3 here. The error of Γ grows in g(Γ); what is allowed is what
 * float32 recomputation was seen to need for these shapes, with a margin. */
#define TOLERANCE_EXACT   4e-6
#define TOLERANCE_NYSTROM 1e-4

enum { LAPS = 4 };

/* Pushes the frames and compares each output, also that of the batch form, with the formulas. */
static void compare(const struct attn_options *options, const float *frames, size_t n_frames, double tolerance)
{
    size_t model_dim = (size_t)options->heads * options->head_dim;
    float *output = malloc(model_dim * sizeof(float));
    double *right = malloc(model_dim * sizeof(double));
    struct stream stream;
    stream_open(&stream, options);
    for (size_t t = 0; t < n_frames; t++) {
        naive(options, frames, t + 1, right);
        stream_push(&stream, frames + t * 3 * model_dim, output);
        double error = distance(output, right, model_dim);
        ck_assert_msg(error <= tolerance, "n %u m %u frame %zu: %g", options->window, options->landmarks, t, error);
        ck_assert_int_eq(attn_batch(stream.plan, frames, t + 1, output), 0);
        error = distance(output, right, model_dim);
        ck_assert_msg(error <= tolerance, "n %u m %u batch %zu: %g", options->window, options->landmarks, t, error);
    }
    ck_assert_uint_eq(attn_applied(stream.state), n_frames);
    stream_close(&stream);
    free(output);
    free(right);
}

static void compare_noise(const struct attn_options *options, double deviation, double tolerance)
{
    size_t n_frames = LAPS * options->window + 3;
    size_t n_floats = n_frames * 3 * options->heads * options->head_dim;
    float *frames = noise(options->window, n_floats, deviation);
    compare(options, frames, n_frames, tolerance);
    free(frames);
}

START_TEST(exact_attention_is_right)
{
    const uint32_t shapes[][3] = {{1, 4, 1}, {1, 1, 2}, {1, 17, 5}, {3, 4, 8}, {2, 12, 33}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct attn_options options = exact_options(shapes[i][0], shapes[i][1], shapes[i][2]);
        compare_noise(&options, 1, TOLERANCE_EXACT);
    }
}
END_TEST

static const uint32_t cuts[][2] = {{1, 1},  {1, 3},  {2, 1},  {2, 5},  {8, 1}, {8, 2}, {12, 4},
                                   {13, 4}, {10, 7}, {10, 9}, {30, 7}, {8, 8}, {5, 9}};

/* _i: the cut into segments. */
START_TEST(landmarks_from_segments_are_right)
{
    struct attn_options options = nystrom_options(2, 6, cuts[_i][0], cuts[_i][1]);
    compare_noise(&options, 1, TOLERANCE_NYSTROM);
    options.inverse_scale = ATTN_INVERSE_HEADS;
    compare_noise(&options, 1, TOLERANCE_NYSTROM);
}
END_TEST

START_TEST(fixed_landmarks_are_right)
{
    struct attn_options options = nystrom_options(2, 6, cuts[_i][0], cuts[_i][1]);
    float *landmarks = noise(7, 2 * 2 * 6 * cuts[_i][1], 1);
    options.landmark_policy = ATTN_LANDMARKS_FIXED;
    options.q_landmarks = landmarks;
    options.k_landmarks = landmarks + 2 * 6 * cuts[_i][1];
    compare_noise(&options, 1, TOLERANCE_NYSTROM);
    options.inverse_scale = ATTN_INVERSE_HEADS;
    compare_noise(&options, 1, TOLERANCE_NYSTROM);
    free(landmarks);
}
END_TEST

/* The two scales differ, so that the tests above can tell them apart. */
START_TEST(inverse_scales_differ)
{
    struct attn_options options = nystrom_options(2, 6, 12, 4);
    float *frames = noise(3, 40 * 36, 2);
    double matrix[12], heads[12];
    naive(&options, frames, 40, matrix);
    options.inverse_scale = ATTN_INVERSE_HEADS;
    naive(&options, frames, 40, heads);
    double most = 0;
    for (size_t i = 0; i < 12; i++)
        most = fmax(most, fabs(matrix[i] - heads[i]));
    ck_assert(most > 10 * TOLERANCE_NYSTROM);
    free(frames);
}
END_TEST

/* Γ is singular here: all landmarks are the same. */
static void compare_flat(float q, float k, float v)
{
    enum { FRAMES = 40, WIDTH = 8 };
    float frames[FRAMES * 3 * WIDTH];
    for (size_t i = 0; i < FRAMES * 3 * WIDTH; i++)
        frames[i] = i / WIDTH % 3 == 0 ? q : i / WIDTH % 3 == 1 ? k : v;
    struct attn_options options = nystrom_options(2, 4, 10, 4);
    compare(&options, frames, FRAMES, 1e-5);
    options = exact_options(2, 4, 10);
    compare(&options, frames, FRAMES, 1e-5);
}

START_TEST(constants_and_zeros_are_right)
{
    compare_flat(0, 0, 0);
    compare_flat(0, 0, 1);
    compare_flat(1, 1, 1);
    compare_flat(-3, 2, 0.5f);
}
END_TEST

/* Thousands of equal terms, which lose the same way each, when they are summed one by one. */
START_TEST(long_windows_of_equal_frames_are_right)
{
    enum { WINDOW = 8192, FRAMES = 2 * WINDOW + 100 };
    const float frame[12] = {0.3f, -0.7f, 1.1f, 0.2f, 0.9f, 0.1f, -0.4f, 0.6f, 0.7f, -0.3f, 0.1f, 0.9f};
    const enum attn_refresh refreshes[] = {ATTN_REFRESH_IMMEDIATE, ATTN_REFRESH_SPREAD};
    for (size_t i = 0; i < 2; i++) {
        struct attn_options options = nystrom_options(1, 4, WINDOW, 8);
        options.refresh = refreshes[i];
        struct stream stream;
        float output[4];
        double difference, worst = 0;
        stream_open(&stream, &options);
        for (size_t t = 0; t < FRAMES; t++) {
            stream_push(&stream, frame, output);
            if (t % 511 != 0)
                continue;
            ck_assert_int_eq(attn_verify(stream.plan, stream.state, &difference), 0);
            worst = fmax(worst, difference);
        }
        ck_assert_msg(worst <= 1e-5, "refresh %d: %g", (int)refreshes[i], worst);
        stream_close(&stream);
    }
}
END_TEST

START_TEST(outputs_are_finite_whatever_overflows)
{
    float *frames = noise(5, 60 * 24, 1e20), output[8];
    const uint32_t landmarks[] = {0, 4};
    for (size_t i = 0; i < 2; i++) {
        struct attn_options options = nystrom_options(2, 4, 10, landmarks[i]);
        options.method = landmarks[i] == 0 ? ATTN_EXACT : ATTN_NYSTROM;
        struct stream stream;
        stream_open(&stream, &options);
        for (size_t t = 0; t < 60; t++) {
            stream_push(&stream, frames + t * 24, output);
            ck_assert_uint_eq(attn_first_not_finite(output, 8), 8);
        }
        stream_close(&stream);
    }
    free(frames);
}
END_TEST

START_TEST(batch_refuses_no_frames)
{
    struct attn_options options = exact_options(1, 4, 8);
    struct stream stream;
    float frame[12] = {0}, output[4];
    stream_open(&stream, &options);
    ck_assert_int_eq(attn_batch(stream.plan, frame, 0, output), ATTN_E_OPTIONS);
    ck_assert_int_eq(attn_batch(stream.plan, frame, 1, output), 0);
    stream_close(&stream);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("attention");
    TCase *cases = tcase_create("attention");
    int n_cuts = sizeof(cuts) / sizeof(cuts[0]);
    tcase_add_test(cases, exact_attention_is_right);
    tcase_add_loop_test(cases, landmarks_from_segments_are_right, 0, n_cuts);
    tcase_add_loop_test(cases, fixed_landmarks_are_right, 0, n_cuts);
    tcase_add_test(cases, inverse_scales_differ);
    tcase_add_test(cases, constants_and_zeros_are_right);
    tcase_add_test(cases, long_windows_of_equal_frames_are_right);
    tcase_add_test(cases, outputs_are_finite_whatever_overflows);
    tcase_add_test(cases, batch_refuses_no_frames);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
