/* SPDX-License-Identifier: MIT */
#include "daemon/answers.h"

#include <math.h>
#include <string.h>

#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

#define CREDIT 8

static struct connection *holder;
static struct stream *stream;

static const char other_reason[] = "other";

static void set_up(void)
{
    holder_set_up();
    holder = holder_new(0, 1);
    stream = holder_open(holder, (struct holder_terms){.credit = CREDIT});
}

static void push_values(uint64_t first, size_t n, const float *values)
{
    holder_push_values(holder, stream, first, values, n);
}

static void drop(size_t n, const char *reason)
{
    for (size_t i = 0; i < n; i++)
        answers_drop(stream, reason);
}

/* Attaches to the stream with a token as the fixture makes it. */
static void attach(struct connection *heir, uint32_t id)
{
    uint8_t token[ATTNP_TOKEN_BYTES];
    memset(token, (int)stream->card.number, sizeof(token));
    struct attnp_writer *writer = holder_ask(id, ATTNP_M_ATTACH);
    attnp_write_map(writer, 2);
    attnp_put_uint(writer, "stream", stream->card.number);
    attnp_put_bin(writer, "token", token, sizeof(token));
    holder_asked(heir);
}

START_TEST(every_frame_is_answered_once_in_order_of_number)
{
    const float values[] = {1, NAN, 3, INFINITY, 5};
    push_values(0, 5, values);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=1 warming; error bad_frame 1:1; output 1:2=2 warming; "
                                           "error bad_frame 1:3; output 1:4=3");
    ck_assert_uint_eq(stream_waiting(stream), 0);
}
END_TEST

START_TEST(a_refusal_says_which_float_it_is)
{
    const float value = NAN;
    push_values(0, 1, &value);
    holder_run_dry(0);
    holder_heard(holder);
    ck_assert_ptr_nonnull(strstr(holder_messages()->messages[0].error.text, "float 2 of frame 0"));
}
END_TEST

START_TEST(an_output_says_its_position_which_refused_frames_do_not_take)
{
    const float values[] = {1, NAN, 3};
    push_values(0, 3, values);
    holder_run_dry(0);
    holder_heard(holder);
    ck_assert_uint_eq(holder_messages()->messages[0].output.position, 0);
    ck_assert_uint_eq(holder_messages()->messages[2].output.position, 1);
}
END_TEST

START_TEST(frames_without_an_output_are_named_together)
{
    holder_push(holder, stream, 0, 3);
    drop(2, stream_late);
    ck_assert_str_eq(holder_heard(holder), "");
    answers_name_unanswered(stream);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+2 late");
    answers_name_unanswered(stream); /* once */
    ck_assert_str_eq(holder_heard(holder), "");
}
END_TEST

/* Whose client may have no credit left but for what it is told here. */
START_TEST(half_the_credit_is_named_at_once)
{
    holder_push(holder, stream, 0, CREDIT);
    drop(CREDIT / 2 - 1, stream_late);
    ck_assert_str_eq(holder_heard(holder), "");
    drop(1, stream_late);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+4 late");
    drop(CREDIT / 2 - 1, stream_late);
    ck_assert_str_eq(holder_heard(holder), "");
    drop(1, stream_late);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:4+4 late");
}
END_TEST

START_TEST(late_frames_are_named_when_no_more_wait)
{
    holder_push(holder, stream, 0, 2);
    drop(1, stream_late);
    ck_assert_str_eq(holder_heard(holder), "");
    drop(1, stream_late);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+2 late");
}
END_TEST

START_TEST(another_reason_is_named_apart)
{
    holder_push(holder, stream, 0, 4);
    drop(1, stream_late);
    drop(2, other_reason);
    answers_name_unanswered(stream);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+1 late; dropped 1:1+2 other");
}
END_TEST

START_TEST(what_was_applied_is_named_apart_from_what_was_not)
{
    stream->deadline.answer_from = 2;
    holder_push(holder, stream, 0, 4);
    holder_turn(0);
    holder_turn(0);
    drop(1, stream_replay);
    answers_name_unanswered(stream);
    ck_assert_str_eq(holder_heard(holder), "skipped 1:0+2 replay; dropped 1:2+1 replay");
}
END_TEST

START_TEST(a_replay_is_named_at_half_the_credit_though_nothing_waits)
{
    stream->deadline.answer_from = 100;
    for (uint64_t number = 0; number < CREDIT; number++) {
        holder_push(holder, stream, number, 1);
        holder_run_dry(0);
        const char *named = number == 3 ? "skipped 1:0+4 replay" : number == 7 ? "skipped 1:4+4 replay" : "";
        ck_assert_str_eq(holder_heard(holder), named);
    }
}
END_TEST

START_TEST(dropped_frames_are_named_before_the_next_answer)
{
    const float values[] = {1, 2, _i == 0 ? 3 : NAN, 4};
    push_values(0, 4, values);
    drop(2, stream_late);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder),
                     _i == 0 ? "dropped 1:0+2 late; output 1:2=3 warming" : "dropped 1:0+2 late; error bad_frame 1:2");
}
END_TEST

START_TEST(a_repeat_has_the_same_bits_and_counts_as_no_output)
{
    struct attnp_output first, again;
    float values[3][1];
    holder_push(holder, stream, 0, 3);
    holder_run_dry(0);
    holder_heard(holder);
    for (size_t i = 0; i < 3; i++)
        values[i][0] = heard_float(&holder_messages()->messages[i], 0);
    first = holder_messages()->messages[1].output;
    holder_push(holder, stream, 0, 3);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1");
    for (size_t i = 0; i < 3; i++)
        ck_assert_mem_eq(holder_messages()->messages[i].output.outputs, values[i], sizeof(values[i]));
    again = holder_messages()->messages[1].output;
    ck_assert_uint_eq(again.position, first.position);
    ck_assert_uint_eq(again.lag_us, first.lag_us);
    ck_assert_uint_eq(counters_get(&stream->card.outputs), 3);
    ck_assert_uint_eq(counters_get(&stream->card.frames), 3);
    ck_assert_uint_eq(holder_traffic("").outputs, 3);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.repeated), 3);
}
END_TEST

START_TEST(every_kind_of_answer_is_repeated_as_it_was)
{
    const float values[] = {1, NAN, 3, 4};
    push_values(0, 4, values);
    holder_turn(0);
    holder_turn(0);
    drop(1, stream_late);
    stream->deadline.answer_from = 100;
    holder_run_dry(0);
    answers_name_unanswered(stream);
    const char *told = "output 1:0=1 warming; error bad_frame 1:1; dropped 1:2+1 late; skipped 1:3+1 replay";
    ck_assert_str_eq(holder_heard(holder), told);
    push_values(0, 4, values);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), told);
    ck_assert_uint_eq(counters_get(&stream->card.outputs), 1);
    ck_assert_uint_eq(counters_get(&stream->card.refused), 1);
    ck_assert_uint_eq(counters_get(&stream->card.dropped), 1);
    ck_assert_uint_eq(counters_get(&stream->card.skipped), 1);
}
END_TEST

START_TEST(what_is_not_named_yet_is_named_before_a_repeat)
{
    holder_push(holder, stream, 0, 1);
    holder_run_dry(0);
    holder_heard(holder);
    holder_push(holder, stream, 1, 2);
    drop(1, stream_late);
    holder_push(holder, stream, 0, 1);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:1+1 late; output 1:0=0 warming");
}
END_TEST

START_TEST(what_is_not_named_yet_is_named_before_the_response_behind_it)
{
    stream->deadline.answer_from = 100;
    holder_push(holder, stream, 0, 1);
    holder_ask_about(holder, 7, ATTNP_M_FINISH, stream);
    holder_push(holder, stream, 1, 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(holder), "skipped 1:0+1 replay; response 7");
    answers_name_unanswered(stream);
    ck_assert_str_eq(holder_heard(holder), "skipped 1:1+1 replay");
}
END_TEST

START_TEST(each_answer_is_counted_once)
{
    const float values[] = {1, NAN, 3, 4};
    push_values(0, 4, values);
    struct traffic_sum sum = holder_traffic("");
    ck_assert_uint_eq(traffic_waiting(&sum), 4);
    holder_turn(0);
    holder_turn(0);
    drop(1, stream_late);
    stream->deadline.answer_from = 100;
    holder_run_dry(0);
    sum = holder_traffic("");
    ck_assert_uint_eq(traffic_waiting(&sum), 0);
    ck_assert_uint_eq(sum.frames, 4);
    ck_assert_uint_eq(sum.outputs, 1);
    ck_assert_uint_eq(sum.refused, 1);
    ck_assert_uint_eq(sum.dropped, 1);
    ck_assert_uint_eq(sum.skipped, 1);
    ck_assert_uint_eq(sum.missed, 0);
    ck_assert_uint_eq(sum.computed, 3);
    ck_assert_uint_eq(counters_get(&stream->card.outputs), 1);
    ck_assert_uint_eq(counters_get(&stream->card.refused), 1);
    ck_assert_uint_eq(counters_get(&stream->card.dropped), 1);
    ck_assert_uint_eq(counters_get(&stream->card.skipped), 1);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.errors[ATTNP_BAD_FRAME]), 1);
}
END_TEST

START_TEST(the_bytes_of_outputs_are_counted)
{
    holder_push(holder, stream, 0, 2);
    holder_run_dry(0);
    ck_assert_uint_eq(counters_get(&stream->card.bytes_out), holder->outbox.n_filling);
    ck_assert_uint_le(holder->outbox.n_filling, 2 * answers_bytes(sizeof(float)));
    ck_assert_uint_gt(counters_get(&stream->card.computing_ns), 0);
}
END_TEST

START_TEST(a_stream_that_ends_names_what_waits_behind_what_was_dropped)
{
    holder_push(holder, stream, 0, 5);
    drop(2, stream_late);
    holder_ask_about(holder, 9, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+2 late; dropped 1:2+3 closed; response 9");
    const struct heard_message *response = &holder_messages()->messages[2];
    ck_assert_uint_eq(heard_uint(response, "dropped"), 5);
    ck_assert_uint_eq(heard_uint(response, "frames"), 5);
    struct traffic_sum sum = holder_traffic("");
    ck_assert_uint_eq(sum.dropped, 5);
    ck_assert_uint_eq(traffic_waiting(&sum), 0);
}
END_TEST

START_TEST(a_stream_that_ends_without_frames_names_none)
{
    holder_ask_about(holder, 9, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(holder), "response 9");
}
END_TEST

START_TEST(a_parked_stream_computes_and_keeps_its_answers)
{
    const float values[] = {1, NAN, 3};
    struct connection *heir = holder_new(0, 1);
    push_values(0, 3, values);
    connection_break(holder);
    holder_run_dry(0);
    ck_assert_uint_eq(stream_waiting(stream), 0);
    attach(heir, 5);
    ck_assert_str_eq(holder_heard(heir), "response 5");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "next_frame"), 3);
    holder_push_values(heir, stream, 0, values, 3);
    ck_assert_str_eq(holder_heard(heir), "output 1:0=1 warming; error bad_frame 1:1; output 1:2=2 warming");
    ck_assert_uint_eq(counters_get(&stream->card.outputs), 2);
}
END_TEST

/* The client that comes back sends again what it did not hear of, and is told then. */
START_TEST(what_a_holder_who_has_gone_was_not_told_is_not_told_to_the_next)
{
    struct connection *heir = holder_new(0, 1);
    holder_push(holder, stream, 0, 3);
    drop(2, stream_late);
    connection_break(holder);
    holder_run_dry(0);
    attach(heir, 5);
    holder_push(heir, stream, 3, 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(heir), "response 5; output 1:3=2.5 warming");
    holder_push(heir, stream, 0, 1);
    ck_assert_str_eq(holder_heard(heir), "dropped 1:0+1 late");
}
END_TEST

START_TEST(a_holder_who_loses_the_stream_is_told_what_was_dropped)
{
    struct connection *heir = holder_new(0, 1);
    holder_push(holder, stream, 0, 3);
    drop(2, stream_late);
    attach(heir, 5);
    ck_assert_str_eq(holder_heard(holder), "dropped 1:0+2 late; superseded 1");
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(heir), "response 5");
    ck_assert_str_eq(holder_heard(holder), "");
}
END_TEST

static Suite *answers_suite(void)
{
    Suite *suite = suite_create("answers");
    TCase *tests = tcase_create("answers");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, every_frame_is_answered_once_in_order_of_number);
    tcase_add_test(tests, a_refusal_says_which_float_it_is);
    tcase_add_test(tests, an_output_says_its_position_which_refused_frames_do_not_take);
    tcase_add_test(tests, frames_without_an_output_are_named_together);
    tcase_add_test(tests, half_the_credit_is_named_at_once);
    tcase_add_test(tests, late_frames_are_named_when_no_more_wait);
    tcase_add_test(tests, another_reason_is_named_apart);
    tcase_add_test(tests, what_was_applied_is_named_apart_from_what_was_not);
    tcase_add_test(tests, a_replay_is_named_at_half_the_credit_though_nothing_waits);
    tcase_add_loop_test(tests, dropped_frames_are_named_before_the_next_answer, 0, 2);
    tcase_add_test(tests, a_repeat_has_the_same_bits_and_counts_as_no_output);
    tcase_add_test(tests, every_kind_of_answer_is_repeated_as_it_was);
    tcase_add_test(tests, what_is_not_named_yet_is_named_before_a_repeat);
    tcase_add_test(tests, what_is_not_named_yet_is_named_before_the_response_behind_it);
    tcase_add_test(tests, each_answer_is_counted_once);
    tcase_add_test(tests, the_bytes_of_outputs_are_counted);
    tcase_add_test(tests, a_stream_that_ends_names_what_waits_behind_what_was_dropped);
    tcase_add_test(tests, a_stream_that_ends_without_frames_names_none);
    tcase_add_test(tests, a_parked_stream_computes_and_keeps_its_answers);
    tcase_add_test(tests, what_a_holder_who_has_gone_was_not_told_is_not_told_to_the_next);
    tcase_add_test(tests, a_holder_who_loses_the_stream_is_told_what_was_dropped);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(answers_suite());
