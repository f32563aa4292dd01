/* SPDX-License-Identifier: MIT */
/* The front-end's promises that need no reference: chunking, times, refusals, memory. Its values: tests/golden. */
#include "attnc/frontend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/run.h"

#define N_SAMPLES 16000
#define MOST      (100 * 64 * 4)

static float samples[N_SAMPLES];

#ifdef COUNT_ALLOCATIONS
static size_t n_allocations;

void *__libc_malloc(size_t size);

/* Counts what the whole program allocates; the sanitizers bring their own allocator, and go without. */
void *malloc(size_t size)
{
    n_allocations++;
    return __libc_malloc(size);
}
#endif

static void make_samples(void)
{
    uint32_t random = 1;

    for (int i = 0; i < N_SAMPLES; i++) {
        random = random * 1664525 + 1013904223;
        samples[i] = 0.3f * sinf(0.05f * (float)i) + (float)(random >> 8) / (1 << 24) - 0.5f;
    }
}

static struct attnc_frontend *make(uint32_t hops, uint32_t stride)
{
    struct attnc_frontend_options options = {.size = sizeof(options), .hops = hops, .stride = stride};
    struct attnc_frontend *frontend;

    ck_assert_int_eq(attnc_frontend_new(&frontend, &options), 0);
    ck_assert_uint_eq(attnc_frontend_frame_dim(frontend), 64 * hops);
    return frontend;
}

/* Pushes all samples in chunks and returns the number of floats in the frames that came out. A chunk of 0: random ones.
 */
static size_t run(struct attnc_frontend *frontend, size_t chunk, float *frames)
{
    size_t dim = attnc_frontend_frame_dim(frontend), n_floats = 0;

    for (size_t at = 0; at < N_SAMPLES;) {
        size_t n = chunk > 0 ? chunk : (size_t)rand() % 1000;
        int taken = attnc_frontend_push(frontend, samples + at, n < N_SAMPLES - at ? n : N_SAMPLES - at);

        ck_assert_int_ge(taken, 0);
        at += (size_t)taken;
        if (n_floats + dim <= MOST && attnc_frontend_next(frontend, frames + n_floats, NULL))
            n_floats += dim;
    }
    return n_floats;
}

static const struct {
    uint32_t hops, stride;
} shapes[] = {{1, 1}, {1, 3}, {4, 1}, {4, 4}, {10, 5}, {3, 7}, {96, 1}, {98, 98}, {99, 1}};

#define N_SHAPES (int)(sizeof(shapes) / sizeof(shapes[0]))

START_TEST(frames_do_not_depend_on_chunks)
{
    static const size_t chunks[] = {1, 2, 3, 7, 97, 159, 160, 161, 400, 401, 1021, 0, 0, 0};
    struct attnc_frontend *frontend = make(shapes[_i].hops, shapes[_i].stride);
    float *whole = malloc(sizeof(float) * MOST), *cut = malloc(sizeof(float) * MOST);
    size_t n_floats = run(frontend, N_SAMPLES, whole);

    for (size_t c = 0; c < sizeof(chunks) / sizeof(chunks[0]); c++) {
        attnc_frontend_reset(frontend);
        ck_assert_uint_eq(run(frontend, chunks[c], cut), n_floats);
        ck_assert_msg(memcmp(whole, cut, sizeof(float) * n_floats) == 0, "chunks of %zu", chunks[c]);
    }
    attnc_frontend_free(frontend);
    free(whole);
    free(cut);
}
END_TEST

START_TEST(a_frame_comes_with_its_last_sample_and_says_when)
{
    uint32_t hops = shapes[_i].hops, stride = shapes[_i].stride;
    struct attnc_frontend *frontend = make(hops, stride);
    float frame[99 * 64];
    uint64_t n_frames = 0;

    for (int i = 0; i < N_SAMPLES; i++) {
        double time_s = -1.0;
        uint64_t end = 160 * (n_frames * stride + hops - 1) + 400;

        ck_assert_int_eq(attnc_frontend_push(frontend, samples + i, 1), 1);
        ck_assert_int_eq(attnc_frontend_next(frontend, frame, &time_s), (uint64_t)i + 1 == end);
        if ((uint64_t)i + 1 == end) {
            ck_assert_double_eq(time_s, (double)end / 16000);
            n_frames++;
        }
    }
    ck_assert_uint_eq(n_frames, hops > 98 ? 0 : (98 - hops) / stride + 1);
    ck_assert_uint_eq(attnc_frontend_samples(frontend), N_SAMPLES);
    attnc_frontend_free(frontend);
}
END_TEST

START_TEST(push_waits_until_a_frame_is_taken)
{
    struct attnc_frontend *frontend = make(1, 1);
    float frame[64];

    ck_assert_int_eq(attnc_frontend_push(frontend, samples, N_SAMPLES), 400);
    ck_assert_int_eq(attnc_frontend_push(frontend, samples + 400, N_SAMPLES - 400), 0);
    ck_assert_int_eq(attnc_frontend_next(frontend, frame, NULL), 1);
    ck_assert_int_eq(attnc_frontend_next(frontend, frame, NULL), 0);
    ck_assert_int_eq(attnc_frontend_push(frontend, samples + 400, N_SAMPLES - 400), 160);
    attnc_frontend_free(frontend);
}
END_TEST

START_TEST(a_bad_sample_is_named_and_changes_nothing)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 257.0f, -32768.0f};
    struct attnc_frontend *frontend = make(1, 1);
    float chunk[300], clean[64], frame[64];

    attnc_frontend_push(frontend, samples, 400);
    attnc_frontend_next(frontend, clean, NULL);
    attnc_frontend_reset(frontend);
    memcpy(chunk, samples, sizeof(chunk));
    chunk[250] = bad[_i];
    ck_assert_int_eq(attnc_frontend_push(frontend, chunk, 300), 250);
    ck_assert_int_eq(attnc_frontend_push(frontend, chunk + 250, 50), ATTNC_FRONTEND_E_SAMPLE);
    ck_assert_uint_eq(attnc_frontend_samples(frontend), 250);
    ck_assert_int_eq(attnc_frontend_push(frontend, samples + 250, 150), 150);
    ck_assert_int_eq(attnc_frontend_next(frontend, frame, NULL), 1);
    ck_assert_mem_eq(frame, clean, sizeof(frame));
    attnc_frontend_free(frontend);
}
END_TEST

START_TEST(reset_leaves_nothing_behind)
{
    struct attnc_frontend *frontend = make(4, 2), *fresh = make(4, 2);
    float *a = malloc(sizeof(float) * MOST), *b = malloc(sizeof(float) * MOST);
    size_t n_floats;

    attnc_frontend_push(frontend, samples + 777, 400 + 3 * 160);
    attnc_frontend_reset(frontend);
    ck_assert_int_eq(attnc_frontend_next(frontend, a, NULL), 0);
    n_floats = run(frontend, 160, a);
    ck_assert_uint_eq(run(fresh, 160, b), n_floats);
    ck_assert_mem_eq(a, b, sizeof(float) * n_floats);
    attnc_frontend_free(frontend);
    attnc_frontend_free(fresh);
    free(a);
    free(b);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    static const struct attnc_frontend_options bad[] = {
        {.size = sizeof(bad[0]), .hops = 0, .stride = 1},
        {.size = sizeof(bad[0]), .hops = 1, .stride = 0},
        {.size = sizeof(bad[0]), .hops = 1025, .stride = 1},
        {.size = sizeof(bad[0]), .hops = 1, .stride = UINT32_MAX},
        {.size = 0, .hops = 1, .stride = 1},
    };
    struct attnc_frontend *frontend = (struct attnc_frontend *)samples;

    ck_assert_int_eq(attnc_frontend_new(&frontend, &bad[_i]), ATTNC_FRONTEND_E_OPTIONS);
    ck_assert_ptr_null(frontend);
    attnc_frontend_free(NULL);
}
END_TEST

#ifdef COUNT_ALLOCATIONS
START_TEST(nothing_is_allocated_while_samples_are_pushed)
{
    struct attnc_frontend *frontend = make(10, 5);
    float *frames = malloc(sizeof(float) * MOST);
    size_t before = n_allocations, during;

    for (size_t at = 0; at < N_SAMPLES;) {
        at += (size_t)attnc_frontend_push(frontend, samples + at, N_SAMPLES - at);
        attnc_frontend_next(frontend, frames, NULL);
    }
    during = n_allocations - before;
    ck_assert_uint_gt(before, 0);
    ck_assert_uint_eq(during, 0);
    attnc_frontend_free(frontend);
    free(frames);
}
END_TEST
#endif

static Suite *frontend(void)
{
    Suite *suite = suite_create("frontend");
    TCase *tcase = tcase_create("frontend");

    make_samples();
    tcase_add_loop_test(tcase, frames_do_not_depend_on_chunks, 0, N_SHAPES);
    tcase_add_loop_test(tcase, a_frame_comes_with_its_last_sample_and_says_when, 0, N_SHAPES);
    tcase_add_test(tcase, push_waits_until_a_frame_is_taken);
    tcase_add_loop_test(tcase, a_bad_sample_is_named_and_changes_nothing, 0, 5);
    tcase_add_test(tcase, reset_leaves_nothing_behind);
    tcase_add_loop_test(tcase, bad_options_are_refused, 0, 5);
#ifdef COUNT_ALLOCATIONS
    tcase_add_test(tcase, nothing_is_allocated_while_samples_are_pushed);
#endif
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(frontend());
