/* SPDX-License-Identifier: MIT */
#include "daemon/deadline.h"
#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

#define AFTER_MS 100
#define AFTER_US (1000 * AFTER_MS)

static struct connection *holder;

static void set_up(void)
{
    holder_set_up();
    holder = holder_new(0, 1);
}

static struct stream *open_late(enum attnp_late late)
{
    return holder_open(holder, (struct holder_terms){.credit = 8, .deadline_ms = AFTER_MS, .late = late});
}

/* Pushes n frames of which the first n_late came so long ago that they are late for certain, and the others will be in
 * time for an hour. */
static void push(struct stream *stream, uint64_t first, size_t n, size_t n_late)
{
    holder_push(holder, stream, first, n);
    for (size_t i = 0; i < n; i++)
        holder_arrive(stream, first + i, i < n_late ? 1 : shard_now_us() + 3600000000);
}

START_TEST(late_frames_are_dropped_up_to_the_first_in_time)
{
    struct stream *stream = open_late(ATTNP_LATE_DROP_OLDEST);
    push(stream, 0, 6, 3);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+3 late; output 1:3=3 warming");
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:4=3.5 warming; output 1:5=4");
    ck_assert_uint_eq(counters_get(&stream->card.dropped), 3);
    ck_assert_uint_eq(counters_get(&stream->card.outputs), 3);
}
END_TEST

START_TEST(a_stream_whose_frames_are_all_late_waits_for_more)
{
    struct stream *stream = open_late(ATTNP_LATE_DROP_OLDEST);
    push(stream, 0, 3, 3);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+3 late");
    ck_assert(!holder_is_busy(0));
    push(stream, 3, 1, 0);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:3=3 warming");
}
END_TEST

/* Answered at the deadline is in time. */
START_TEST(a_deadline_is_kept_up_to_its_microsecond)
{
    struct stream *stream = open_late(ATTNP_LATE_DROP_OLDEST);
    holder_push(holder, stream, 0, 2);
    holder_arrive(stream, 0, 1000);
    holder_arrive(stream, 1, 2000);
    ck_assert(deadline_settle(stream, 1000 + AFTER_US, 999));
    ck_assert(deadline_settle(stream, 1000 + AFTER_US - 7, 7999));
    ck_assert_uint_eq(stream_waiting(stream), 2);
    ck_assert(deadline_settle(stream, 1000 + AFTER_US - 7, 8000));
    ck_assert_uint_eq(stream_waiting(stream), 1);
    ck_assert(!deadline_settle(stream, 2000 + AFTER_US + 1, 0));
    ck_assert_uint_eq(stream_waiting(stream), 0);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+1 late; dropped 1:1+1 late");
}
END_TEST

START_TEST(a_late_output_is_skipped_and_its_frame_applied)
{
    struct stream *stream = open_late(ATTNP_LATE_SKIP_OUTPUT);
    push(stream, 0, 4, 2);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "skipped 1:0+2 late; output 1:2=1; output 1:3=2");
    ck_assert_uint_eq(counters_get(&stream->card.skipped), 2);
    ck_assert_uint_eq(counters_get(&stream->card.dropped), 0);
}
END_TEST

START_TEST(a_stream_that_blocks_answers_late_and_counts_it)
{
    struct stream *stream = open_late(ATTNP_LATE_BLOCK);
    holder_push(holder, stream, 0, 1);
    holder_arrive(stream, 0, 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
    ck_assert_uint_eq(counters_get(&stream->card.missed), 1);
    ck_assert_uint_eq(holder_traffic("").missed, 1);
}
END_TEST

START_TEST(nothing_is_late_without_a_deadline)
{
    struct stream *stream = holder_open(holder, (struct holder_terms){.late = _i});
    push(stream, 0, 3, 3);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1");
    ck_assert_uint_eq(counters_get(&stream->card.missed), 0);
}
END_TEST

START_TEST(a_replay_is_applied_and_not_answered)
{
    struct stream *stream = holder_open(holder, (struct holder_terms){.credit = 8, .first_frame = 5, .answer_from = 7});
    holder_push(holder, stream, 5, 3);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "skipped 1:5+2 replay; output 1:7=6");
    ck_assert_uint_eq(counters_get(&stream->card.skipped), 2);
}
END_TEST

/* Its frames came late because the connection broke, and the state needs them all the same. */
START_TEST(a_replay_is_never_late)
{
    struct stream *stream = holder_open(
        holder,
        (struct holder_terms){.credit = 8, .deadline_ms = AFTER_MS, .late = ATTNP_LATE_DROP_OLDEST, .answer_from = 2});
    push(stream, 0, 4, 3);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "skipped 1:0+2 replay; dropped 1:2+1 late; output 1:3=1.33333");
}
END_TEST

START_TEST(a_request_takes_effect_between_two_late_frames)
{
    struct stream *stream = open_late(ATTNP_LATE_DROP_OLDEST);
    push(stream, 0, 2, 2);
    holder_ask_about(holder, 7, ATTNP_M_FINISH, stream);
    push(stream, 2, 2, 2);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+2 late; response 7");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[1], "dropped"), 2);
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[1], "last"), 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:2+2 late");
}
END_TEST

START_TEST(a_reset_is_seen_by_the_frames_behind_late_ones)
{
    struct stream *stream = open_late(ATTNP_LATE_DROP_OLDEST);
    push(stream, 0, 3, 0);
    holder_run_dry(0);
    holder_heard(holder);
    push(stream, 3, 1, 1);
    holder_ask_about(holder, 7, ATTNP_M_RESET, stream);
    push(stream, 4, 1, 0);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:3+1 late; response 7; output 1:4=4 warming");
}
END_TEST

/* A skip is decided anew for each frame. */
START_TEST(outputs_are_computed_again_once_in_time)
{
    struct stream *stream = open_late(ATTNP_LATE_SKIP_OUTPUT);
    push(stream, 0, 1, 1);
    holder_run_dry(0);
    push(stream, 1, 1, 0);
    holder_run_dry(0);
    push(stream, 2, 1, 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "skipped 1:0+1 late; output 1:1=0.5 warming; skipped 1:2+1 late");
}
END_TEST

static Suite *deadline_suite(void)
{
    Suite *suite = suite_create("deadline");
    TCase *tests = tcase_create("deadline");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, late_frames_are_dropped_up_to_the_first_in_time);
    tcase_add_test(tests, a_stream_whose_frames_are_all_late_waits_for_more);
    tcase_add_test(tests, a_deadline_is_kept_up_to_its_microsecond);
    tcase_add_test(tests, a_late_output_is_skipped_and_its_frame_applied);
    tcase_add_test(tests, a_stream_that_blocks_answers_late_and_counts_it);
    tcase_add_loop_test(tests, nothing_is_late_without_a_deadline, ATTNP_LATE_BLOCK, ATTNP_LATE_SKIP_OUTPUT + 1);
    tcase_add_test(tests, a_replay_is_applied_and_not_answered);
    tcase_add_test(tests, a_replay_is_never_late);
    tcase_add_test(tests, a_request_takes_effect_between_two_late_frames);
    tcase_add_test(tests, a_reset_is_seen_by_the_frames_behind_late_ones);
    tcase_add_test(tests, outputs_are_computed_again_once_in_time);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(deadline_suite());
