/* SPDX-License-Identifier: MIT */
/* Frames that are dear are computed away from the shard's thread. No frame here takes long: a model is said to be dear
 * by its cost. */
#include <math.h>
#include <sched.h>
#include <string.h>

#include "daemon/answers.h"
#include "daemon/expiry.h"
#include "daemon/lend.h"
#include "daemon/share.h"
#include "daemon/users.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER     1000
#define OPERATOR 0

static struct connection *client;
static struct model *dear;
static struct stream *stream;

static struct model *dear_model(const char *name)
{
    struct model *model = holder_model(name);
    cost_set(model->cost, 0, SHARD_DEAR_US * 2e3);
    cost_set_worst(model->cost, 1);
    return model;
}

static struct stream *open_dear(struct connection *holder)
{
    return holder_open(holder, (struct holder_terms){.model = dear, .credit = 8});
}

static void set_up(void)
{
    holder_set_up();
    client = holder_new(0, USER);
    dear = dear_model("dear");
    stream = open_dear(client);
}

START_TEST(a_dear_frame_is_computed_away_and_answered_in_order)
{
    holder_push(client, stream, 0, 4);
    ck_assert(lend_is_out(stream));
    ck_assert(!holder_is_busy(0)); /* the loop sleeps meanwhile */
    ck_assert_str_eq(holder_heard(client), "");
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming; output 1:2=1; output 1:3=2");
    ck_assert_uint_eq(holder_traffic("dear").computed, 4);
    ck_assert_uint_gt(counters_get(&stream->card.computing_ns), 0);
}
END_TEST

/* What makes a stream dear is its dearest frame, not the mean of all. */
START_TEST(a_model_whose_dearest_frame_is_dear_is_computed_away)
{
    struct model *model = holder_model("rarely");
    cost_set(model->cost, 0, SHARD_DEAR_US * 1e2);
    cost_set_worst(model->cost, _i == 0 ? 9 : 11);
    struct stream *other = holder_open(client, (struct holder_terms){.model = model});
    holder_push(client, other, 0, 1);
    ck_assert_int_eq(lend_is_out(other), _i == 1);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 2:0=0 warming");
}
END_TEST

START_TEST(other_streams_are_served_meanwhile)
{
    struct connection *other = holder_new(0, USER + 1);
    struct stream *cheap = holder_open(other, (struct holder_terms){0});
    holder_push(client, stream, 0, 1);
    holder_push(other, cheap, 0, 2);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(other), "output 2:0=0 warming; output 2:1=0.5 warming");
    ck_assert(lend_is_out(stream));
}
END_TEST

START_TEST(of_each_user_one_frame_is_computed_at_a_time)
{
    struct connection *other = holder_new(0, USER + 1);
    struct stream *second = open_dear(client), *of_other = open_dear(other);
    holder_push(client, stream, 0, 1);
    holder_push(client, second, 0, 1);
    holder_push(other, of_other, 0, 1);
    ck_assert(lend_is_out(stream) && !lend_is_out(second) && lend_is_out(of_other));
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 2:0=0 warming");
    ck_assert_str_eq(holder_heard(other), "output 3:0=0 warming");
}
END_TEST

/* Of two streams of one user that have frames each, none waits for all of the other's. */
START_TEST(the_streams_of_a_user_take_turns)
{
    struct stream *second = open_dear(client);
    holder_push(client, stream, 0, 3);
    holder_push(client, second, 0, 2);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 2:0=0 warming; output 1:1=0.5 warming; "
                                           "output 2:1=0.5 warming; output 1:2=1");
}
END_TEST

START_TEST(a_frame_that_is_not_finite_is_refused)
{
    const float values[] = {1, NAN, 3};
    holder_push_values(client, stream, 0, values, 3);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=1 warming; error bad_frame 1:1; output 1:2=2 warming");
}
END_TEST

START_TEST(a_deadline_is_judged_when_the_turn_of_the_frame_comes)
{
    struct stream *late = holder_open(
        client, (struct holder_terms){.model = dear, .credit = 8, .deadline_ms = 100, .late = ATTNP_LATE_DROP_OLDEST});
    holder_push(client, stream, 0, 1);
    holder_push(client, late, 0, 3);
    holder_arrive(late, 0, 1);
    holder_arrive(late, 1, 1);
    holder_arrive(late, 2, shard_now_us() + 3600000000);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; dropped 2:0+2 late; output 2:2=2 warming");
}
END_TEST

START_TEST(requests_keep_their_place_among_the_frames)
{
    holder_push(client, stream, 0, 2);
    holder_ask_about(client, 5, ATTNP_M_FINISH, stream);
    holder_ask_about(client, 6, ATTNP_M_RESET, stream);
    holder_push(client, stream, 2, 1);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming; response 5; response 6; "
                                           "output 1:2=2 warming");
}
END_TEST

/* It came between the frame that the request waited for and the request. */
START_TEST(a_push_does_not_overtake_a_request_that_is_due)
{
    static const enum attnp_method methods[] = {ATTNP_M_FINISH, ATTNP_M_RESET};
    holder_push(client, stream, 0, 1);
    holder_ask_about(client, 5, methods[_i], stream);
    holder_wait_away(0);
    holder_push(client, stream, 1, 1);
    ck_assert(!lend_is_out(stream));
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming");
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client),
                     _i == 0 ? "response 5; output 1:1=0.5 warming" : "response 5; output 1:1=1 warming");
}
END_TEST

/* What another thread computes into is not yet an answer, and what was there still is one. */
START_TEST(the_oldest_kept_answer_is_repeated_as_it_was)
{
    struct stream *narrow = holder_open(client, (struct holder_terms){.model = dear, .credit = 2});
    holder_push(client, narrow, 0, 2);
    holder_run_all(0);
    holder_heard(client);
    holder_push(client, narrow, 2, 1);
    while (atomic_load(&holder_shards[0].away.done.newest) == NULL) /* until it is computed */
        sched_yield();
    holder_push(client, narrow, 0, 2);
    ck_assert_str_eq(holder_heard(client), "output 2:0=0 warming; output 2:1=0.5 warming");
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 2:2=1");
    holder_push(client, narrow, 2, 1);
    ck_assert_str_eq(holder_heard(client), "output 2:2=1");
}
END_TEST

/* Costs are learned while streams wait: a stream stays where it stands, and goes on elsewhere. */
START_TEST(a_stream_whose_frames_become_cheap_keeps_its_place)
{
    struct stream *second = open_dear(client);
    holder_push(client, stream, 0, 1);
    holder_push(client, second, 0, 1);
    cost_set(dear->cost, 0, 1000);
    holder_push(client, second, 1, 1);
    holder_ask_about(client, 5, ATTNP_M_FINISH, second);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client),
                     "output 1:0=0 warming; output 2:0=0 warming; output 2:1=0.5 warming; response 5");
    holder_push(client, second, 2, 1);
    ck_assert(!lend_is_out(second));
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 2:2=1");
}
END_TEST

START_TEST(a_stream_whose_frames_become_dear_keeps_its_place)
{
    cost_set(dear->cost, 0, 1000);
    holder_push(client, stream, 0, 1);
    cost_set(dear->cost, 0, SHARD_DEAR_US * 2e3);
    holder_push(client, stream, 1, 1);
    ck_assert(!lend_is_out(stream));
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming");
}
END_TEST

START_TEST(a_close_ends_it)
{
    holder_push(client, stream, 0, 2);
    holder_ask_about(client, 5, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(client), "dropped 1:0+2 closed; response 5");
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "");
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_kill_ends_it)
{
    struct connection *root = holder_new(0, OPERATOR);
    holder_push(client, stream, 0, 1);
    holder_ask_about(root, 6, ATTNP_M_KILL, stream);
    ck_assert_str_eq(holder_heard(client), "dropped 1:0+1 killed; ended 1 killed");
    holder_run_all(0);
    holder_expect_no_stream();
}
END_TEST

/* Its frames go on for nobody, of a share of their own; and are repeated to who attaches. */
START_TEST(the_stream_of_a_connection_that_ends_goes_on_parked)
{
    holder_push(client, stream, 0, 3);
    connection_break(client);
    holder_run_all(0);
    ck_assert_uint_eq(stream_waiting(stream), 0);
    ck_assert(LIST_EMPTY(&holder_shards[0].shares.all));
    struct connection *next = holder_new((unsigned)_i, USER);
    wish_attach(next, 6, 1, stream->open.token);
    holder_open_mail(0);
    holder_open_mail((unsigned)_i);
    ck_assert_str_eq(holder_heard(next), "response 6");
    holder_push(next, stream, 3, 1);
    holder_run_all((unsigned)_i);
    ck_assert_str_eq(holder_heard(next), "output 1:3=2");
}
END_TEST

START_TEST(parked_streams_are_computed_in_the_time_of_their_users)
{
    struct connection *other = holder_new(0, USER + 1);
    struct stream *second = open_dear(client), *first_of_other = open_dear(other), *of_other = open_dear(other);
    holder_push(client, stream, 0, 1);
    holder_push(client, second, 0, 1);
    holder_push(other, first_of_other, 0, 1);
    holder_push(other, of_other, 0, 1);
    connection_break(client);
    connection_break(other);
    ck_assert_uint_eq(second->ready.dear_in->uid, USER);
    ck_assert_uint_eq(of_other->ready.dear_in->uid, USER + 1);
    holder_run_all(0);
    ck_assert_uint_eq(stream_waiting(second), 0);
    ck_assert_uint_eq(stream_waiting(of_other), 0);
    ck_assert(LIST_EMPTY(&holder_shards[0].shares.all));
}
END_TEST

START_TEST(who_attaches_waits_for_the_frame)
{
    struct connection *heir = holder_new(0, USER);
    holder_push(client, stream, 0, 1);
    wish_attach(heir, 6, 1, stream->open.token);
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    ck_assert_str_eq(holder_heard(heir), "");
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(heir), "response 6");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "next_frame"), 1);
}
END_TEST

START_TEST(the_end_of_the_connection_ends_it_where_nothing_is_parked)
{
    holder_configure(CONFIG_timeouts_park_ms, "0");
    holder_push(client, stream, 0, 2);
    connection_break(client);
    holder_run_all(0);
    holder_expect_no_stream();
    ck_assert(LIST_EMPTY(&holder_shards[0].shares.all)); /* that of the work included */
}
END_TEST

START_TEST(a_stream_does_not_expire_meanwhile)
{
    const uint64_t ages_us = UINT64_C(1000000) * 1000000;
    holder_push(client, stream, 0, 1);
    holder_configure(CONFIG_timeouts_idle_ms, "60000");
    expiry_look(&holder_shards[0], shard_now_us() + ages_us);
    expiry_look(&holder_shards[0], shard_now_us() + 2 * ages_us);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.expired), 0);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "idle 1 15000; output 1:0=0 warming");
}
END_TEST

START_TEST(nothing_is_computed_for_a_client_that_reads_nothing)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_INTERNAL, "to fill the outbox");
    while (!connection_is_full(client))
        reply_notify_error(client, &error);
    holder_push(client, stream, 0, 1);
    ck_assert(!lend_is_out(stream));
    holder_heard(client);
    holder_relieve(client);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming");
}
END_TEST

/* The frames that waited for the client to read are late by then, and a request is due behind them. */
START_TEST(a_request_behind_what_is_dropped_does_not_wait_for_another_event)
{
    struct attnp_error error;
    struct stream *late =
        holder_open(client, (struct holder_terms){.model = dear, .deadline_ms = 100, .late = ATTNP_LATE_DROP_OLDEST});
    attnp_fail(&error, ATTNP_INTERNAL, "to fill the outbox");
    while (!connection_is_full(client))
        reply_notify_error(client, &error);
    holder_push(client, late, 0, 1);
    holder_ask_about(client, 5, ATTNP_M_FINISH, late);
    holder_arrive(late, 0, 1);
    holder_heard(client);
    holder_relieve(client);
    ck_assert(holder_is_busy(0));
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "dropped 2:0+1 late; response 5");
}
END_TEST

/* The fixture ends everything while one frame is being computed and others wait. */
START_TEST(the_daemon_may_end_meanwhile)
{
    struct stream *second = open_dear(client);
    holder_push(client, stream, 0, 2);
    holder_push(client, second, 0, 2);
    ck_assert(lend_is_out(stream));
}
END_TEST

static Suite *ready_suite(void)
{
    Suite *suite = suite_create("ready");
    TCase *tests = tcase_create("ready");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, a_dear_frame_is_computed_away_and_answered_in_order);
    tcase_add_loop_test(tests, a_model_whose_dearest_frame_is_dear_is_computed_away, 0, 2);
    tcase_add_test(tests, other_streams_are_served_meanwhile);
    tcase_add_test(tests, of_each_user_one_frame_is_computed_at_a_time);
    tcase_add_test(tests, the_streams_of_a_user_take_turns);
    tcase_add_test(tests, a_frame_that_is_not_finite_is_refused);
    tcase_add_test(tests, a_deadline_is_judged_when_the_turn_of_the_frame_comes);
    tcase_add_test(tests, requests_keep_their_place_among_the_frames);
    tcase_add_loop_test(tests, a_push_does_not_overtake_a_request_that_is_due, 0, 2);
    tcase_add_test(tests, the_oldest_kept_answer_is_repeated_as_it_was);
    tcase_add_test(tests, a_stream_whose_frames_become_cheap_keeps_its_place);
    tcase_add_test(tests, a_stream_whose_frames_become_dear_keeps_its_place);
    tcase_add_test(tests, a_close_ends_it);
    tcase_add_test(tests, a_kill_ends_it);
    tcase_add_loop_test(tests, the_stream_of_a_connection_that_ends_goes_on_parked, 0, HOLDER_SHARDS);
    tcase_add_test(tests, parked_streams_are_computed_in_the_time_of_their_users);
    tcase_add_test(tests, who_attaches_waits_for_the_frame);
    tcase_add_test(tests, the_end_of_the_connection_ends_it_where_nothing_is_parked);
    tcase_add_test(tests, a_stream_does_not_expire_meanwhile);
    tcase_add_test(tests, nothing_is_computed_for_a_client_that_reads_nothing);
    tcase_add_test(tests, a_request_behind_what_is_dropped_does_not_wait_for_another_event);
    tcase_add_test(tests, the_daemon_may_end_meanwhile);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(ready_suite());
