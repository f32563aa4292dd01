/* SPDX-License-Identifier: MIT */
#include "daemon/pushes.h"

#include <string.h>

#include "daemon/idle.h"
#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

#define CREDIT 4

static struct connection *holder;
static struct stream *stream;

static void set_up(void)
{
    holder_set_up();
    holder = holder_new(0, 1);
    stream = holder_open(holder, (struct holder_terms){.credit = CREDIT});
}

static void push(uint64_t first, size_t n)
{
    holder_push(holder, stream, first, n);
}

/* A push of zeros, whose bytes are no whole number of frames perhaps. */
static enum connection_next push_bytes(uint64_t number, uint64_t first, size_t n_bytes, struct attnp_time time)
{
    static const uint8_t zeros[256];
    uint8_t bytes[512];
    const struct attnp_push message = {
        .stream = number, .first = first, .frames = zeros, .n_bytes = n_bytes, .time = time};
    ck_assert_uint_le(attnp_push_bytes(&message), sizeof(bytes));
    return holder_say(holder, bytes, attnp_push_write(bytes, &message));
}

START_TEST(a_frame_is_answered_by_the_turn_after_its_push)
{
    push(0, 3);
    ck_assert_str_eq(holder_heard(holder), "");
    ck_assert(holder_is_busy(0));
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
    holder_turn(0);
    holder_turn(0);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:1=0.5 warming; output 1:2=1");
    ck_assert_uint_eq(counters_get(&stream->card.frames), 3);
    ck_assert_uint_eq(holder_traffic("").frames, 3);
}
END_TEST

START_TEST(frames_go_to_the_stream_that_the_push_names)
{
    struct stream *second = holder_open(holder, (struct holder_terms){0}),
                  *third = holder_open(holder, (struct holder_terms){0});
    const float ten = 10, twenty = 20;
    holder_push_values(holder, third, 0, &twenty, 1);
    holder_push_values(holder, second, 0, &ten, 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 3:0=20 warming; output 2:0=10 warming");
}
END_TEST

START_TEST(a_gap_is_told_once_and_the_rest_ignored_until_the_client_goes_back)
{
    push(0, 1);
    push(2, 2);
    push(3, 1);
    ck_assert_str_eq(holder_heard(holder), "error frame_gap 1:2 expected 1");
    push(1, 2);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1");
}
END_TEST

START_TEST(more_than_the_credit_is_refused_from_the_first_frame_too_many)
{
    push(0, CREDIT + 2);
    ck_assert_str_eq(holder_heard(holder), "error credit_exceeded 1:4 expected 4");
    ck_assert_uint_eq(stream_waiting(stream), CREDIT);
    push(CREDIT + 1, 1);
    ck_assert_str_eq(holder_heard(holder), "");
    holder_run_dry(0);
    holder_heard(holder);
    ck_assert_uint_eq(holder_messages()->n, CREDIT);
    push(CREDIT, 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:4=3");
}
END_TEST

START_TEST(frames_whose_answers_are_gone_are_refused_together)
{
    push(0, CREDIT);
    holder_run_dry(0);
    push(CREDIT, 2);
    holder_run_dry(0);
    holder_heard(holder);
    push(0, 4);
    ck_assert_str_eq(holder_heard(holder), "error too_old 1:0+2 expected 6; output 1:2=1; output 1:3=2");
    push(0, 1);
    ck_assert_str_eq(holder_heard(holder), "error too_old 1:0+1 expected 6");
}
END_TEST

START_TEST(a_frame_that_waits_is_taken_once)
{
    push(0, 2);
    push(0, 3);
    ck_assert_str_eq(holder_heard(holder), "");
    ck_assert_uint_eq(stream_waiting(stream), 3);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1");
    ck_assert_uint_eq(counters_get(&stream->card.frames), 3);
}
END_TEST

START_TEST(a_push_may_repeat_and_go_on)
{
    push(0, 2);
    holder_run_dry(0);
    holder_heard(holder);
    push(1, 2);
    ck_assert_str_eq(holder_heard(holder), "output 1:1=0.5 warming");
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:2=1");
}
END_TEST

START_TEST(a_bin_that_is_no_whole_number_of_frames_is_refused)
{
    static const size_t sizes[] = {0, 11, 13, 25};
    ck_assert_int_eq(push_bytes(1, 0, sizes[_i], (struct attnp_time){0}), CONNECTION_GOES_ON);
    ck_assert_str_eq(holder_heard(holder), "error bad_frame 1 expected 0");
    push(1, 1);
    ck_assert_str_eq(holder_heard(holder), ""); /* until a push begins with 0 */
    push(0, 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
    ck_assert_uint_eq(counters_get(&stream->card.refused), 0); /* no frame had a number */
}
END_TEST

START_TEST(a_stream_of_somebody_else_is_none)
{
    struct connection *other = holder_new(0, 1);
    struct stream *theirs = holder_open(other, (struct holder_terms){0});
    holder_push(holder, theirs, 0, 1);
    ck_assert_str_eq(holder_heard(holder), "error unknown_stream 2");
    ck_assert_uint_eq(stream_waiting(theirs), 0);
}
END_TEST

START_TEST(a_client_may_not_know_yet_that_it_lost_the_stream)
{
    connection_lose(&stream->held);
    idle_park(&holder_shards[0], stream, shard_now_us());
    push(0, 1);
    ck_assert_str_eq(holder_heard(holder), "");
    ck_assert_uint_eq(stream_waiting(stream), 0);
}
END_TEST

START_TEST(a_client_that_closed_its_stream_is_told_that_it_is_none)
{
    holder_ask_about(holder, 5, ATTNP_M_CLOSE, stream);
    holder_heard(holder);
    ck_assert_int_eq(push_bytes(1, 0, 12, (struct attnp_time){0}), CONNECTION_GOES_ON);
    ck_assert_str_eq(holder_heard(holder), "error unknown_stream 1");
}
END_TEST

/* Also where it is ignored: somebody is there. */
START_TEST(a_push_shows_that_the_client_is_there)
{
    push(5, 1); /* from here on the client is not listened to */
    idle_warned(&holder_shards[0], stream, 1);
    push(7, 1);
    ck_assert_int_eq(stream->idle.list, IDLE_ACTIVE);
    ck_assert_uint_gt(stream->idle.since_us, 1);
}
END_TEST

START_TEST(a_push_that_is_none_ends_the_connection)
{
    uint8_t bytes[64];
    const struct attnp_push message = {.stream = 1, .frames = bytes, .n_bytes = 12};
    size_t n = attnp_push_write(bytes, &message) - ATTNP_LENGTH_BYTES;
    struct attnp_error error;
    ck_assert_int_eq(pushes_take(holder, bytes + ATTNP_LENGTH_BYTES, n - 1, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_BAD_MESSAGE);
    ck_assert_uint_eq(stream_waiting(stream), 0);
    ck_assert_int_eq(pushes_take(holder, bytes + ATTNP_LENGTH_BYTES, n, &error), 0);
    ck_assert_uint_eq(stream_waiting(stream), 1);
}
END_TEST

START_TEST(the_clock_value_of_a_push_comes_back_with_each_of_its_frames)
{
    const struct attnp_time time = {.n_bytes = 3, .bytes = {0xcd, 0x12, 0x34}}, none = {.n_bytes = 0};
    push_bytes(1, 0, 24, time);
    push_bytes(1, 2, 12, none);
    holder_run_dry(0);
    holder_heard(holder);
    for (size_t i = 0; i < 3; i++) {
        const struct attnp_time *came = &holder_messages()->messages[i].output.time;
        ck_assert_uint_eq(came->n_bytes, i < 2 ? 3 : 0);
        ck_assert_mem_eq(came->bytes, time.bytes, came->n_bytes);
    }
}
END_TEST

START_TEST(the_bytes_of_pushes_are_counted)
{
    uint8_t bytes[512];
    const struct attnp_push message = {.stream = 1, .frames = bytes + 256, .n_bytes = 24};
    memset(bytes, 0, sizeof(bytes));
    size_t n = attnp_push_write(bytes, &message);
    holder_say(holder, bytes, n);
    ck_assert_uint_eq(counters_get(&stream->card.bytes_in), n);
}
END_TEST

START_TEST(a_push_of_one_frame_is_at_most_as_long_as_is_reserved)
{
    const struct attnp_push message = {
        .stream = ATTNP_MAX_NUMBER, .first = ATTNP_MAX_NUMBER, .n_bytes = 12, .time = {.n_bytes = 9, .bytes = {0xcf}}};
    ck_assert_uint_ge(pushes_bytes(12), attnp_push_bytes(&message));
}
END_TEST

static Suite *pushes_suite(void)
{
    Suite *suite = suite_create("pushes");
    TCase *tests = tcase_create("pushes");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, a_frame_is_answered_by_the_turn_after_its_push);
    tcase_add_test(tests, frames_go_to_the_stream_that_the_push_names);
    tcase_add_test(tests, a_gap_is_told_once_and_the_rest_ignored_until_the_client_goes_back);
    tcase_add_test(tests, more_than_the_credit_is_refused_from_the_first_frame_too_many);
    tcase_add_test(tests, frames_whose_answers_are_gone_are_refused_together);
    tcase_add_test(tests, a_frame_that_waits_is_taken_once);
    tcase_add_test(tests, a_push_may_repeat_and_go_on);
    tcase_add_loop_test(tests, a_bin_that_is_no_whole_number_of_frames_is_refused, 0, 4);
    tcase_add_test(tests, a_stream_of_somebody_else_is_none);
    tcase_add_test(tests, a_client_may_not_know_yet_that_it_lost_the_stream);
    tcase_add_test(tests, a_client_that_closed_its_stream_is_told_that_it_is_none);
    tcase_add_test(tests, a_push_shows_that_the_client_is_there);
    tcase_add_test(tests, a_push_that_is_none_ends_the_connection);
    tcase_add_test(tests, the_clock_value_of_a_push_comes_back_with_each_of_its_frames);
    tcase_add_test(tests, the_bytes_of_pushes_are_counted);
    tcase_add_test(tests, a_push_of_one_frame_is_at_most_as_long_as_is_reserved);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(pushes_suite());
