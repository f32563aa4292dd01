/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "daemon/batch.h"
#include "daemon/end.h"
#include "daemon/pending.h"
#include "daemon/users.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER     1000
#define OPERATOR 0

static struct connection *client;

static void set_up(void)
{
    holder_set_up();
    client = holder_new(0, USER);
}

/* A stream of a model that claims a part of its shard's time, with so many frames computed, and so many that wait. */
static struct stream *open_with_frames(size_t n_computed, size_t n_waiting)
{
    struct model *model = holder_model("claiming");
    cost_set(model->cost, 0, 1e6);
    struct stream *stream = holder_open(client, (struct holder_terms){.model = model, .rate = 100, .name = "mine"});
    ck_assert_uint_gt(counters_get(&holder_shards[0].ledger.claimed_ns), 0);
    for (size_t i = 0; i < n_computed; i++) {
        holder_push(client, stream, i, 1);
        holder_turn(0);
    }
    holder_push(client, stream, n_computed, n_waiting);
    holder_heard(client);
    return stream;
}

static void expect_counts(const struct heard_message *response, uint64_t frames, uint64_t outputs, uint64_t dropped)
{
    ck_assert_int_eq(response->kind, HEARD_RESPONSE);
    ck_assert_uint_eq(heard_uint(response, "frames"), frames);
    ck_assert_uint_eq(heard_uint(response, "outputs"), outputs);
    ck_assert_uint_eq(heard_uint(response, "dropped"), dropped);
    ck_assert_uint_eq(heard_uint(response, "skipped"), 0);
    ck_assert_uint_eq(heard_uint(response, "refused"), 0);
}

static uint64_t dropped_by_traffic(void)
{
    struct traffic_sum sum = {.streams = 0};
    traffic_add_up(holder_shared.traffic, 0, HOLDER_SHARDS, &sum);
    ck_assert_uint_eq(traffic_waiting(&sum), 0);
    return sum.dropped;
}

START_TEST(the_holder_that_closes_is_told_the_counts_and_nothing_else)
{
    struct stream *stream = open_with_frames(2, 0);
    holder_ask_about(client, 5, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(client), "response 5");
    expect_counts(&holder_messages()->messages[0], 2, 2, 0);
    ck_assert_uint_eq(client->n_streams, 0);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.closed), 1);
    holder_expect_no_stream();
}
END_TEST

START_TEST(frames_that_wait_are_named_and_counted_as_dropped)
{
    struct stream *stream = open_with_frames(1, 2);
    holder_ask_about(client, 5, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(client), "dropped 1:1+2 closed; response 5");
    expect_counts(&holder_messages()->messages[1], 3, 1, 2);
    ck_assert_uint_eq(dropped_by_traffic(), 2);
    holder_expect_no_stream();
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "");
}
END_TEST

START_TEST(skipped_frames_that_were_not_named_yet_are_named_before_those_that_wait)
{
    struct stream *stream = holder_open(client, (struct holder_terms){.credit = 16, .answer_from = 100});
    holder_push(client, stream, 0, 3);
    holder_turn(0);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "");
    holder_ask_about(client, 5, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(client), "skipped 1:0+2 replay; dropped 1:2+1 closed; response 5");
    holder_expect_no_stream();
}
END_TEST

START_TEST(another_connection_closes_and_the_holder_is_told)
{
    struct connection *other = holder_new(0, USER);
    struct stream *stream = open_with_frames(1, 2);
    holder_ask_about(other, 5, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(client), "dropped 1:1+2 closed; ended 1 closed");
    ck_assert_str_eq(holder_heard(other), "response 5");
    expect_counts(&holder_messages()->messages[0], 3, 1, 2);
    ck_assert_uint_eq(client->n_streams, 0);
    holder_expect_no_stream();
}
END_TEST

/* The numbers of a stream that is no more. */
static const struct stream gone = {.card = {.number = 1}};

START_TEST(what_a_holder_still_pushes_for_a_stream_that_others_ended_is_no_mistake)
{
    struct connection *other = holder_new(0, USER);
    holder_ask_about(other, 5, ATTNP_M_CLOSE, open_with_frames(1, 0));
    ck_assert_str_eq(holder_heard(client), "ended 1 closed");
    holder_push(client, &gone, 1, 1);
    ck_assert_str_eq(holder_heard(client), "");
}
END_TEST

START_TEST(a_holder_that_closed_and_pushes_is_told_its_mistake)
{
    holder_ask_about(client, 5, ATTNP_M_CLOSE, open_with_frames(1, 0));
    ck_assert_str_eq(holder_heard(client), "response 5");
    holder_push(client, &gone, 1, 1);
    ck_assert_str_eq(holder_heard(client), "error unknown_stream 1");
}
END_TEST

START_TEST(an_operator_kills_with_a_reason_that_the_holder_is_told)
{
    struct connection *root = holder_new(0, OPERATOR);
    struct stream *stream = open_with_frames(1, 2);
    struct attnp_writer *writer = holder_ask(5, ATTNP_M_KILL);
    attnp_write_map(writer, 2);
    attnp_put_uint(writer, "stream", stream->card.number);
    attnp_put_string(writer, "reason", "the lab closes");
    holder_asked(root);
    ck_assert_str_eq(holder_heard(client), "dropped 1:1+2 killed; ended 1 killed: the lab closes");
    ck_assert_str_eq(holder_heard(root), "response 5");
    expect_counts(&holder_messages()->messages[0], 3, 1, 2);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.killed), 1);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.closed), 1);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_kill_without_a_reason_says_that_it_was_one)
{
    struct connection *root = holder_new(0, OPERATOR);
    holder_ask_about(root, 5, ATTNP_M_KILL, open_with_frames(0, 0));
    ck_assert_str_eq(holder_heard(client), "ended 1 killed");
    ck_assert_str_eq(holder_heard(root), "response 5");
    holder_expect_no_stream();
}
END_TEST

START_TEST(requests_and_the_heir_of_a_killed_stream_are_told_once_each)
{
    struct connection *root = holder_new(0, OPERATOR), *heir = holder_new(1, USER);
    struct stream *stream = open_with_frames(0, 2);
    holder_ask_about(client, 1, ATTNP_M_FINISH, stream);
    wish_attach(heir, 2, stream->card.number, stream->open.token);
    holder_open_mail(0);
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    holder_ask_about(root, 3, ATTNP_M_KILL, stream);
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(client), "response 1 unknown_stream");
    ck_assert_str_eq(holder_heard(heir), "response 2 unknown_stream");
    ck_assert_str_eq(holder_heard(root), "response 3");
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_stream_whose_request_is_due_ends_and_leaves_that_list)
{
    struct stream *stream = open_with_frames(0, 1);
    holder_ask_about(client, 1, ATTNP_M_FINISH, stream);
    batch_run(&holder_shards[0]);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming");
    end_expire(&holder_shards[0], stream, "idle");
    ck_assert_str_eq(holder_heard(client), "response 1 unknown_stream; ended 1 idle");
    holder_expect_no_stream();
    pending_run_due(&holder_shards[0]);
    ck_assert_str_eq(holder_heard(client), "");
}
END_TEST

START_TEST(a_parked_stream_is_closed_by_a_client_of_its_user)
{
    struct connection *other = holder_new(0, USER);
    struct stream *stream = open_with_frames(1, 1);
    connection_break(client);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.parked), 1);
    holder_ask_about(other, 5, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(other), "response 5");
    expect_counts(&holder_messages()->messages[0], 2, 1, 1);
    holder_expect_no_stream();
}
END_TEST

START_TEST(without_a_time_to_park_streams_end_with_their_connection)
{
    holder_configure(CONFIG_timeouts_park_ms, "0");
    open_with_frames(1, 2);
    holder_open(client, (struct holder_terms){.credit = 4});
    connection_break(client);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.closed), 2);
    ck_assert_uint_eq(dropped_by_traffic(), 2);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_client_whose_connection_is_ended_is_told_which_frames_and_why)
{
    struct attnp_error why;
    holder_configure(CONFIG_timeouts_park_ms, "0");
    open_with_frames(1, 2);
    attnp_fail(&why, ATTNP_SLOW_CONSUMER, "nothing was read");
    connection_end(client, &why);
    ck_assert_str_eq(holder_heard(client), "dropped 1:1+2 slow_consumer; error slow_consumer");
    holder_expect_no_stream();
}
END_TEST

START_TEST(the_end_of_one_stream_leaves_the_others_alone)
{
    struct model *model = holder_model("shared");
    struct stream *streams[3];
    for (size_t i = 0; i < 3; i++) {
        streams[i] = holder_open(client, (struct holder_terms){.model = model, .rate = 1});
        holder_push(client, streams[i], 0, 1);
    }
    uint64_t bytes = streams[1]->card.bytes;
    holder_ask_about(client, 5, ATTNP_M_CLOSE, streams[1]);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client),
                     "dropped 2:0+1 closed; response 5; output 1:0=0 warming; output 3:0=0 warming");
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_STREAMS), 2);
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_STATE_BYTES), 2 * bytes);
    ck_assert_uint_eq(client->n_streams, 2);
}
END_TEST

static Suite *end_suite(void)
{
    Suite *suite = suite_create("end");
    TCase *tests = tcase_create("end");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, the_holder_that_closes_is_told_the_counts_and_nothing_else);
    tcase_add_test(tests, frames_that_wait_are_named_and_counted_as_dropped);
    tcase_add_test(tests, skipped_frames_that_were_not_named_yet_are_named_before_those_that_wait);
    tcase_add_test(tests, another_connection_closes_and_the_holder_is_told);
    tcase_add_test(tests, what_a_holder_still_pushes_for_a_stream_that_others_ended_is_no_mistake);
    tcase_add_test(tests, a_holder_that_closed_and_pushes_is_told_its_mistake);
    tcase_add_test(tests, an_operator_kills_with_a_reason_that_the_holder_is_told);
    tcase_add_test(tests, a_kill_without_a_reason_says_that_it_was_one);
    tcase_add_test(tests, requests_and_the_heir_of_a_killed_stream_are_told_once_each);
    tcase_add_test(tests, a_stream_whose_request_is_due_ends_and_leaves_that_list);
    tcase_add_test(tests, a_parked_stream_is_closed_by_a_client_of_its_user);
    tcase_add_test(tests, without_a_time_to_park_streams_end_with_their_connection);
    tcase_add_test(tests, a_client_whose_connection_is_ended_is_told_which_frames_and_why);
    tcase_add_test(tests, the_end_of_one_stream_leaves_the_others_alone);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(end_suite());
