/* SPDX-License-Identifier: MIT */
/* What a frame can cost at most is known before one is pushed: no frame counts more, and the bound is no empty one. */
#include <stdbool.h>
#include <stdlib.h>

#include "../run.h"
#include "stream.h"

enum { MOST_TIMES_MET = 9 };

static const uint32_t windows[] = {1, 2, 9, 16, 37, 64, 120, 500}, landmarks[] = {1, 2, 5, 16, 32, 64},
                      dims[] = {1, 4, 12, 64};

enum {
    N_WINDOWS = sizeof(windows) / sizeof(windows[0]),
    N_LANDMARKS = sizeof(landmarks) / sizeof(landmarks[0]),
    N_DIMS = sizeof(dims) / sizeof(dims[0])
};

/* The most of all frames until the window has been full for a whole one. */
static uint64_t most_met(struct stream *stream)
{
    size_t dim = stream->info.input_dim, n_frames = 2 * (size_t)stream->info.window + 10;
    float *frames = noise(3, n_frames * dim, 1), *output = malloc(stream->output_dim * sizeof(float));
    uint64_t most = 0;
    for (size_t t = 0; t < n_frames; t++) {
        stream_push(stream, frames + t * dim, output);
        uint64_t work = attn_last_work(stream->state).multiply_adds;
        most = work > most ? work : most;
    }
    free(frames);
    free(output);
    return most;
}

static void compare(const struct attn_options *options)
{
    struct stream stream;
    stream_open(&stream, options);
    uint64_t bound = attn_most_multiply_adds(stream.plan), met = most_met(&stream);
    bool is_odd = options->landmarks > options->window; /* more landmarks than frames: nobody asks for that */
    ck_assert_msg(met <= bound && (is_odd || bound <= MOST_TIMES_MET * met),
                  "method %d, retroactive %u, refresh %d, policy %d, n %u, m %u, d %u: %ju met, the bound is %ju",
                  options->method, options->retroactive, options->refresh, options->landmark_policy, options->window,
                  options->landmarks, options->head_dim, (uintmax_t)met, (uintmax_t)bound);
    stream_close(&stream);
}

/* All rows of long windows take long to compute, and say nothing that shorter ones do not. */
static bool is_too_much(const struct attn_options *options)
{
    return options->retroactive && options->window * options->head_dim > 120 * 12;
}

START_TEST(no_exact_step_counts_more)
{
    for (size_t i = 0; i < N_WINDOWS * N_DIMS; i++) {
        struct attn_options options = exact_options(2, dims[i % N_DIMS], windows[i / N_DIMS]);
        options.retroactive = (uint32_t)_i;
        if (!is_too_much(&options))
            compare(&options);
    }
}
END_TEST

/* The loop's number has a bit for each choice. */
START_TEST(no_nystrom_step_counts_more)
{
    float *fixed = noise(5, 2 * 64 * 64, 1);
    for (size_t i = 0; i < N_WINDOWS * N_LANDMARKS * N_DIMS; i++) {
        uint32_t n = windows[i / N_DIMS / N_LANDMARKS], m = landmarks[i / N_DIMS % N_LANDMARKS], d = dims[i % N_DIMS];
        struct attn_options options = nystrom_options(1, d, n, m);
        options.retroactive = _i & 1;
        options.refresh = (_i & 2) != 0 ? ATTN_REFRESH_SPREAD : ATTN_REFRESH_IMMEDIATE;
        if ((_i & 4) != 0) {
            options.landmark_policy = ATTN_LANDMARKS_FIXED;
            options.q_landmarks = fixed;
            options.k_landmarks = fixed + (size_t)64 * 64;
        }
        if (!is_too_much(&options))
            compare(&options);
    }
    free(fixed);
}
END_TEST

static Suite *work_suite(void)
{
    Suite *suite = suite_create("work");
    TCase *tests = tcase_create("work");
    tcase_add_loop_test(tests, no_exact_step_counts_more, 0, 2);
    tcase_add_loop_test(tests, no_nystrom_step_counts_more, 0, 8);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(work_suite());
