/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/counters.h"
#include "daemon/stream.h"
#include "tests/unit/run.h"

#define CREDIT 4
#define WIDTH  2

static struct stream *stream;
static void *scratch;

/* Of a plan, which it owns. */
static struct stream *new_stream(struct plan *plan)
{
    struct model *model = model_new("", plan);
    ck_assert_ptr_nonnull(model);
    struct stream *made = stream_new(&(struct stream_shape){.model = model, .credit = CREDIT});
    model_release(model);
    return made;
}

static void set_up(void)
{
    const struct attnp_attention attention = {.method = ATTNP_METHOD_EXACT, .window = 3, .heads = 1, .head_dim = WIDTH};
    struct attnp_error error;
    struct plan *plan;
    ck_assert_int_eq(plan_of_attention(&plan, &attention, &error), 0);
    stream = new_stream(plan);
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(stream_start(stream), 0);
    scratch = aligned_alloc(PLAN_ALIGN, plan_facts(plan)->scratch_bytes + PLAN_ALIGN);
}

static void tear_down(void)
{
    stream_free(stream);
    free(scratch);
}

/* A frame whose value row is (x, -x); from an address that no float may have. */
static void put(uint64_t number, float x)
{
    const float frame[3 * WIDTH] = {0.1f, 0.2f, 0.3f, 0.4f, x, -x};
    uint8_t unaligned[sizeof(frame) + 1];
    memcpy(unaligned + 1, frame, sizeof(frame));
    ck_assert_int_eq(stream_take(stream, number, unaligned + 1, 1000 + number, (struct attnp_time){.n_bytes = 0}),
                     ATTNP_TAKE);
}

static struct answer *step(void)
{
    struct answer *answer;
    stream_step(&stream, 1, &answer, scratch);
    return answer;
}

static float first_float(const struct answer *answer)
{
    float x;
    memcpy(&x, stream_output(stream, answer), sizeof(x));
    return x;
}

START_TEST(frames_are_answered_in_order_with_their_position)
{
    for (uint64_t number = 0; number < 3; number++)
        put(number, 7);
    for (uint64_t number = 0; number < 3; number++) {
        ck_assert_uint_eq(stream_arrived_us(stream), 1000 + number);
        const struct answer *answer = step();
        ck_assert_uint_eq(answer->number, number);
        ck_assert_uint_eq(answer->position, number);
        ck_assert_int_eq(answer->warming, number < 2);
        ck_assert_float_eq_tol(first_float(answer), 7, 1e-5f);
    }
    ck_assert_uint_eq(stream_waiting(stream), 0);
}
END_TEST

START_TEST(answers_stay_until_credit_newer_ones_came)
{
    float kept[3 * CREDIT];
    for (uint64_t number = 0; number < 3 * CREDIT; number++) {
        put(number, (float)number);
        kept[number] = first_float(step());
        for (uint64_t old = number < CREDIT ? 0 : number - CREDIT + 1; old <= number; old++) {
            const struct answer *answer = stream_answer(stream, old);
            ck_assert_uint_eq(answer->number, old);
            ck_assert_float_eq(first_float(answer), kept[old]);
        }
    }
}
END_TEST

START_TEST(a_refused_frame_keeps_its_number_and_takes_no_position)
{
    put(0, 1);
    put(1, NAN);
    put(2, 1);
    step();
    const struct answer *refused = step();
    ck_assert_int_eq(refused->kind, ANSWER_BAD_FRAME);
    ck_assert_uint_eq(refused->number, 1);
    ck_assert_uint_eq(refused->bad_index, 2 * WIDTH);
    const struct answer *next = step();
    ck_assert_uint_eq(next->number, 2);
    ck_assert_uint_eq(next->position, 1);
    ck_assert_int_eq(stream_answer(stream, 1)->kind, ANSWER_BAD_FRAME);
}
END_TEST

/* A landmark of which an output has 1.5 times the values, and the other of which it has -0.5 times: LARGE is told from
 * the usual frame by its key, and 1.4 times its value overflows. */
START_TEST(an_output_that_is_not_finite_is_none_until_its_frame_has_left_the_window)
{
    enum { WINDOW = 3, LARGE = 2 };
    const float landmarks[2][WIDTH] = {{1.094f, 0}, {0, 1.094f}};
    const struct attnp_attention attention = {.method = ATTNP_METHOD_NYSTROM,
                                              .landmark_policy = ATTNP_POLICY_FIXED,
                                              .window = WINDOW,
                                              .landmarks = 2,
                                              .heads = 1,
                                              .head_dim = WIDTH,
                                              .q_landmarks = (const uint8_t *)landmarks,
                                              .k_landmarks = (const uint8_t *)landmarks,
                                              .n_q_bytes = sizeof(landmarks),
                                              .n_k_bytes = sizeof(landmarks)};
    struct attnp_error error;
    struct answer *answer;
    struct plan *plan;
    ck_assert_int_eq(plan_of_attention(&plan, &attention, &error), 0);
    struct stream *overflowing = new_stream(plan);
    ck_assert_int_eq(stream_start(overflowing), 0);
    for (uint64_t number = 0; number < 2 * WINDOW; number++) {
        bool is_large = number == LARGE, has_output = number < LARGE || number >= LARGE + WINDOW;
        const float frame[3 * WIDTH] = {2.84f, 0, is_large ? 10 : 0, 0, is_large ? 3e38f : 1, 1};
        ck_assert_int_eq(stream_take(overflowing, number, (const uint8_t *)frame, 0, (struct attnp_time){.n_bytes = 0}),
                         ATTNP_TAKE);
        stream_step(&overflowing, 1, &answer, scratch);
        ck_assert_uint_eq(answer->position, number);
        ck_assert_int_eq(answer->kind, has_output ? ANSWER_OUTPUT : ANSWER_SKIPPED);
        ck_assert(has_output || answer->reason == stream_not_finite);
    }
    ck_assert_int_eq(stream_answer(overflowing, LARGE)->kind, ANSWER_SKIPPED);
    ck_assert_ptr_eq(stream_answer(overflowing, LARGE)->reason, stream_not_finite);
    stream_free(overflowing);
}
END_TEST

START_TEST(reset_starts_positions_again_and_leaves_numbers_and_waiting_frames)
{
    put(0, 5);
    step();
    put(1, 9);
    plan_reset(stream->plan, stream->state);
    stream_was_reset(stream);
    const struct answer *answer = step();
    ck_assert_uint_eq(answer->number, 1);
    ck_assert_uint_eq(answer->position, 0);
    ck_assert_float_eq_tol(first_float(answer), 9, 1e-5f);
}
END_TEST

START_TEST(a_stream_that_computes_in_much_brings_its_own)
{
    const struct attnp_attention attention = {.method = ATTNP_METHOD_NYSTROM,
                                              .window = 20000,
                                              .landmarks = 16,
                                              .heads = 1,
                                              .head_dim = 1,
                                              .retroactive = true};
    const float frame[3] = {0.5f, 0.5f, 4};
    const struct plan_facts *facts;
    struct attnp_error error;
    struct answer *answer;
    struct plan *plan;
    ck_assert_uint_eq(plan_facts(stream->plan)->own_scratch_bytes, 0);
    ck_assert_int_eq(plan_of_attention(&plan, &attention, &error), 0);
    facts = plan_facts(plan);
    ck_assert_uint_eq(facts->scratch_bytes, 0);
    ck_assert_uint_gt(facts->own_scratch_bytes, 1 << 20);

    struct stream *large = new_stream(plan);
    ck_assert_uint_gt(large->card.bytes,
                      facts->state_bytes + facts->own_scratch_bytes + CREDIT * 20000 * sizeof(float));
    ck_assert_int_eq(stream_start(large), 0);
    for (uint64_t number = 0; number < 3 * CREDIT; number++) {
        ck_assert_int_eq(stream_take(large, number, (const uint8_t *)frame, 0, (struct attnp_time){.n_bytes = 0}),
                         ATTNP_TAKE);
        stream_step(&large, 1, &answer, NULL);
    }
    const float *rows = (const float *)(const void *)stream_output(large, answer);
    ck_assert_float_eq(rows[20000 - 3 * CREDIT - 1], 0);
    for (size_t r = 20000 - 3 * CREDIT; r < 20000; r++)
        ck_assert_float_eq_tol(rows[r], 4, 1e-4f);
    stream_free(large);
}
END_TEST

static Suite *stream_suite(void)
{
    Suite *suite = suite_create("stream");
    TCase *tests = tcase_create("stream");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, frames_are_answered_in_order_with_their_position);
    tcase_add_test(tests, answers_stay_until_credit_newer_ones_came);
    tcase_add_test(tests, a_refused_frame_keeps_its_number_and_takes_no_position);
    tcase_add_test(tests, an_output_that_is_not_finite_is_none_until_its_frame_has_left_the_window);
    tcase_add_test(tests, reset_starts_positions_again_and_leaves_numbers_and_waiting_frames);
    tcase_add_test(tests, a_stream_that_computes_in_much_brings_its_own);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(stream_suite());
