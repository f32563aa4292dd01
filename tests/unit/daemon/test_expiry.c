/* SPDX-License-Identifier: MIT */
/* Every time is told to expiry_look, and counted from when something was done with a stream; no test waits for one. */
#include "daemon/expiry.h"
#include "daemon/users.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER    1000
#define PARK_MS 500

static struct connection *client;
static struct stream *stream;

static void set_up(void)
{
    holder_set_up();
    holder_configure(CONFIG_timeouts_idle_ms, "1000");
    holder_configure(CONFIG_timeouts_park_ms, "500");
    client = holder_new(0, USER);
    stream = holder_open(client, (struct holder_terms){.credit = 4, .name = "mine"});
}

/* The timer looks so long after this moment. */
static void look_after(uint64_t since_us, uint64_t us)
{
    expiry_look(&holder_shards[0], since_us + us);
}

static uint64_t expired(void)
{
    return counters_get(&holder_shards[0].counters.expired);
}

/* A client that holds nothing asks for the stream. */
static void attach(struct connection *heir, uint32_t id)
{
    wish_attach(heir, id, stream->card.number, stream->open.token);
}

START_TEST(a_holder_is_warned_when_a_quarter_of_the_time_is_left)
{
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, 750000);
    ck_assert_str_eq(holder_heard(client), "");
    look_after(since_us, 750001);
    ck_assert_str_eq(holder_heard(client), "idle 1 250");
    look_after(since_us, 900000);
    ck_assert_str_eq(holder_heard(client), ""); /* once */
}
END_TEST

START_TEST(a_stream_ends_when_all_of_the_time_is_over)
{
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, 750001);
    holder_heard(client);
    look_after(since_us, 1000001);
    ck_assert_str_eq(holder_heard(client), "");
    ck_assert_uint_eq(expired(), 0);
    look_after(since_us, 1000002);
    ck_assert_str_eq(holder_heard(client), "ended 1 idle");
    ck_assert_uint_eq(expired(), 1);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_holder_that_is_warned_late_has_its_quarter_all_the_same)
{
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, 5000000);
    ck_assert_str_eq(holder_heard(client), "idle 1 250");
    look_after(since_us, 5250000);
    ck_assert_str_eq(holder_heard(client), "");
    look_after(since_us, 5250001);
    ck_assert_str_eq(holder_heard(client), "ended 1 idle");
}
END_TEST

START_TEST(a_push_after_the_warning_keeps_the_stream)
{
    uint64_t warned_us = stream->idle.since_us + 750001;
    expiry_look(&holder_shards[0], warned_us);
    holder_push(client, stream, 0, 1);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "idle 1 250; output 1:0=0 warming");
    uint64_t since_us = stream->idle.since_us;
    expiry_look(&holder_shards[0], since_us + 750000);
    ck_assert_str_eq(holder_heard(client), "");
    expiry_look(&holder_shards[0], since_us + 750001);
    ck_assert_str_eq(holder_heard(client), "idle 1 250"); /* anew */
}
END_TEST

START_TEST(a_request_of_the_holder_keeps_the_stream_and_one_of_another_does_not)
{
    struct connection *other = holder_new(0, USER);
    uint64_t warned_us = stream->idle.since_us + 750001;
    expiry_look(&holder_shards[0], warned_us);
    holder_ask_about(client, 1, ATTNP_M_RESET, stream);
    ck_assert_int_eq(stream->idle.list, IDLE_ACTIVE);
    ck_assert_str_eq(holder_heard(client), "idle 1 250; response 1");
    warned_us = stream->idle.since_us + 750001;
    expiry_look(&holder_shards[0], warned_us);
    holder_ask_about(client, 2, ATTNP_M_FINISH, stream);
    ck_assert_int_eq(stream->idle.list, IDLE_ACTIVE);
    ck_assert_str_eq(holder_heard(client), "idle 1 250; response 2");
    warned_us = stream->idle.since_us + 750001;
    expiry_look(&holder_shards[0], warned_us);
    holder_ask_about(other, 3, ATTNP_M_RESET, stream);
    ck_assert_str_eq(holder_heard(client), "idle 1 250; reset 1:0");
    expiry_look(&holder_shards[0], warned_us + 250001);
    ck_assert_str_eq(holder_heard(client), "ended 1 idle");
}
END_TEST

START_TEST(a_stream_with_frames_to_compute_does_not_end)
{
    holder_push(client, stream, 0, 2);
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, 750001);
    ck_assert_str_eq(holder_heard(client), "idle 1 250");
    look_after(since_us, 2000000);
    ck_assert_str_eq(holder_heard(client), "");
    holder_turn(0);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming");
    look_after(since_us, 2000000 + 750000); /* its time began anew while frames waited */
    ck_assert_str_eq(holder_heard(client), "");
    look_after(since_us, 2000000 + 750001);
    ck_assert_str_eq(holder_heard(client), "idle 1 250");
}
END_TEST

START_TEST(where_idle_ms_is_0_nothing_ends)
{
    holder_configure(CONFIG_timeouts_idle_ms, "0");
    look_after(stream->idle.since_us, UINT64_C(1000000000000));
    ck_assert_str_eq(holder_heard(client), "");
    ck_assert_uint_eq(client->n_streams, 1);
}
END_TEST

START_TEST(a_shorter_time_leaves_a_quarter_of_itself_after_the_warning)
{
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, 700000);
    holder_configure(CONFIG_timeouts_idle_ms, "100");
    look_after(since_us, 700000);
    ck_assert_str_eq(holder_heard(client), "idle 1 25");
    look_after(since_us, 725000);
    ck_assert_str_eq(holder_heard(client), "");
    look_after(since_us, 725001);
    ck_assert_str_eq(holder_heard(client), "ended 1 idle");
}
END_TEST

START_TEST(only_streams_whose_time_is_over_are_warned_of_and_end)
{
    struct stream *newer = holder_open(client, (struct holder_terms){.credit = 4});
    newer->idle.since_us = stream->idle.since_us + 100000; /* as if it had been opened so much later */
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, 800000);
    ck_assert_str_eq(holder_heard(client), "idle 1 250");
    look_after(since_us, 850001);
    ck_assert_str_eq(holder_heard(client), "idle 2 250");
    look_after(since_us, 1050001);
    ck_assert_str_eq(holder_heard(client), "ended 1 idle");
    look_after(since_us, 1100002);
    ck_assert_str_eq(holder_heard(client), "ended 2 idle");
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_parked_stream_ends_after_park_ms)
{
    connection_break(client);
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, PARK_MS * 1000);
    ck_assert_uint_eq(expired(), 0);
    ck_assert_uint_eq(users_total(holder_shared.users, USERS_STREAMS), 1);
    look_after(since_us, PARK_MS * 1000 + 1);
    ck_assert_uint_eq(expired(), 1);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_parked_stream_ends_also_where_idle_ms_is_0)
{
    holder_configure(CONFIG_timeouts_idle_ms, "0");
    connection_break(client);
    look_after(stream->idle.since_us, PARK_MS * 1000 + 1);
    ck_assert_uint_eq(expired(), 1);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_warned_stream_that_is_parked_has_all_of_park_ms)
{
    look_after(stream->idle.since_us, 750001);
    ck_assert_str_eq(holder_heard(client), "idle 1 250");
    connection_break(client);
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, PARK_MS * 1000);
    ck_assert_uint_eq(expired(), 0);
    look_after(since_us, PARK_MS * 1000 + 1);
    ck_assert_uint_eq(expired(), 1);
}
END_TEST

START_TEST(a_parked_stream_with_frames_to_compute_does_not_end)
{
    holder_push(client, stream, 0, 1);
    connection_break(client);
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, 600000);
    ck_assert_uint_eq(expired(), 0);
    holder_turn(0);
    look_after(since_us, 600000 + PARK_MS * 1000);
    ck_assert_uint_eq(expired(), 0);
    look_after(since_us, 600000 + PARK_MS * 1000 + 1);
    ck_assert_uint_eq(expired(), 1);
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_stream_that_somebody_is_about_to_hold_does_not_end)
{
    struct connection *heir = holder_new(0, USER);
    holder_push(client, stream, 0, 1);
    attach(heir, 5);
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    look_after(stream->idle.since_us, 600000);
    ck_assert_str_eq(holder_heard(heir), "");
    holder_turn(0);
    ck_assert_str_eq(holder_heard(heir), "response 5");
    ck_assert_uint_eq(expired(), 0);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.parked), 0);
}
END_TEST

START_TEST(an_attached_stream_is_idle_as_any_other)
{
    struct connection *heir = holder_new(0, USER);
    connection_break(client);
    attach(heir, 5);
    uint64_t since_us = stream->idle.since_us;
    look_after(since_us, PARK_MS * 1000 + 1);
    look_after(since_us, 750000);
    ck_assert_str_eq(holder_heard(heir), "response 5");
    look_after(since_us, 750001);
    ck_assert_str_eq(holder_heard(heir), "idle 1 250");
}
END_TEST

START_TEST(at_the_end_of_the_daemon_parked_streams_end_and_held_ones_do_not)
{
    struct connection *other = holder_new(0, USER);
    struct stream *held = holder_open(other, (struct holder_terms){.credit = 4});
    holder_open(client, (struct holder_terms){.credit = 4});
    connection_break(client);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.parked), 2);
    expiry_end_parked(&holder_shards[0], "draining");
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.parked), 0);
    ck_assert_uint_eq(users_total(holder_shared.users, USERS_STREAMS), 1);
    holder_push(other, held, 0, 1);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(other), "output 2:0=0 warming");
}
END_TEST

static Suite *expiry_suite(void)
{
    Suite *suite = suite_create("expiry");
    TCase *tests = tcase_create("expiry");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, a_holder_is_warned_when_a_quarter_of_the_time_is_left);
    tcase_add_test(tests, a_stream_ends_when_all_of_the_time_is_over);
    tcase_add_test(tests, a_holder_that_is_warned_late_has_its_quarter_all_the_same);
    tcase_add_test(tests, a_push_after_the_warning_keeps_the_stream);
    tcase_add_test(tests, a_request_of_the_holder_keeps_the_stream_and_one_of_another_does_not);
    tcase_add_test(tests, a_stream_with_frames_to_compute_does_not_end);
    tcase_add_test(tests, where_idle_ms_is_0_nothing_ends);
    tcase_add_test(tests, a_shorter_time_leaves_a_quarter_of_itself_after_the_warning);
    tcase_add_test(tests, only_streams_whose_time_is_over_are_warned_of_and_end);
    tcase_add_test(tests, a_parked_stream_ends_after_park_ms);
    tcase_add_test(tests, a_parked_stream_ends_also_where_idle_ms_is_0);
    tcase_add_test(tests, a_warned_stream_that_is_parked_has_all_of_park_ms);
    tcase_add_test(tests, a_parked_stream_with_frames_to_compute_does_not_end);
    tcase_add_test(tests, a_stream_that_somebody_is_about_to_hold_does_not_end);
    tcase_add_test(tests, an_attached_stream_is_idle_as_any_other);
    tcase_add_test(tests, at_the_end_of_the_daemon_parked_streams_end_and_held_ones_do_not);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(expiry_suite());
