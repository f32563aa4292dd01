/* SPDX-License-Identifier: MIT */
#include "daemon/idle.h"

#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

#define N_STREAMS 3

static struct connection *holder;
static struct shard *shard;
static struct stream *streams[N_STREAMS];

static void set_up(void)
{
    holder_set_up();
    holder = holder_new(0, 1);
    shard = holder->shard;
    for (size_t i = 0; i < N_STREAMS; i++) {
        streams[i] = holder_open(holder, (struct holder_terms){0});
        idle_leave(shard, streams[i]);
    }
}

static void park(struct stream *stream, uint64_t now_us)
{
    connection_release(&stream->held);
    idle_park(shard, stream, now_us);
}

static uint64_t n_parked(void)
{
    return counters_get(&shard->counters.parked);
}

START_TEST(the_stream_that_is_idle_for_longest_comes_first)
{
    for (size_t i = 0; i < N_STREAMS; i++)
        idle_active(shard, streams[i], 1000 * i);
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_ACTIVE, 10000000, 1), streams[0]);
    idle_active(shard, streams[0], 5000);
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_ACTIVE, 10000000, 1), streams[1]);
    idle_leave(shard, streams[1]);
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_ACTIVE, 10000000, 1), streams[2]);
    idle_leave(shard, streams[2]);
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_ACTIVE, 10000000, 1), streams[0]);
    idle_leave(shard, streams[0]);
    ck_assert_ptr_null(idle_overdue(shard, IDLE_ACTIVE, 10000000, 1));
}
END_TEST

START_TEST(a_stream_is_overdue_after_its_time_and_not_at_it)
{
    idle_active(shard, streams[0], 1000);
    ck_assert_ptr_null(idle_overdue(shard, IDLE_ACTIVE, 1000 + 2000, 2));
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_ACTIVE, 1000 + 2001, 2), streams[0]);
    ck_assert_ptr_null(idle_overdue(shard, IDLE_ACTIVE, 999, 0)); /* looked at with an older time */
}
END_TEST

START_TEST(a_stream_is_in_one_list)
{
    idle_active(shard, streams[0], 1);
    idle_warned(shard, streams[0], 1);
    ck_assert_ptr_null(idle_overdue(shard, IDLE_ACTIVE, 10000, 1));
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_WARNED, 10000, 1), streams[0]);
    park(streams[0], 1);
    ck_assert_ptr_null(idle_overdue(shard, IDLE_WARNED, 10000, 1));
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_PARKED, 10000, 1), streams[0]);
    ck_assert_ptr_eq(idle_first_parked(shard), streams[0]);
    idle_leave(shard, streams[0]);
    ck_assert_ptr_null(idle_overdue(shard, IDLE_PARKED, 10000, 1));
    ck_assert_ptr_null(idle_first_parked(shard));
    idle_leave(shard, streams[0]); /* from nowhere */
    idle_park(shard, streams[0], 1);
}
END_TEST

START_TEST(parked_streams_are_counted)
{
    park(streams[0], 1000);
    park(streams[1], 2000);
    ck_assert_uint_eq(n_parked(), 2);
    ck_assert_uint_eq(counters_get(&streams[0]->card.parked_us), 1000);
    idle_park(shard, streams[0], 3000); /* for it was busy: its time begins anew */
    ck_assert_uint_eq(n_parked(), 2);
    ck_assert_uint_eq(counters_get(&streams[0]->card.parked_us), 3000);
    ck_assert_ptr_eq(idle_first_parked(shard), streams[1]);
    connection_hold(holder, &streams[1]->held);
    idle_active(shard, streams[1], 4000);
    ck_assert_uint_eq(n_parked(), 1);
    ck_assert_uint_eq(counters_get(&streams[1]->card.parked_us), 0);
    ck_assert_ptr_eq(idle_first_parked(shard), streams[0]);
}
END_TEST

START_TEST(streams_that_end_leave_their_list)
{
    idle_active(shard, streams[0], 1);
    idle_active(shard, streams[1], 2);
    idle_warned(shard, streams[1], 1);
    park(streams[2], 3);
    for (uint32_t i = 0; i < N_STREAMS; i++) {
        struct connection *operator= holder_new(0, 0);
        holder_ask_about(operator, i, ATTNP_M_CLOSE, streams[i]);
    }
    for (enum idle_list list = IDLE_ACTIVE; list <= IDLE_PARKED; list++)
        ck_assert_ptr_null(idle_overdue(shard, list, 1000000000, 1));
    ck_assert_uint_eq(n_parked(), 0);
}
END_TEST

START_TEST(a_warning_does_not_count_as_use)
{
    idle_active(shard, streams[0], 1000);
    idle_warned(shard, streams[0], 500);
    ck_assert_uint_eq(counters_get(&streams[0]->card.active_us), 1000);
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_WARNED, 2501, 2), streams[0]);
    idle_active(shard, streams[0], 3000);
    ck_assert_uint_eq(counters_get(&streams[0]->card.active_us), 3000);
    ck_assert_ptr_null(idle_overdue(shard, IDLE_WARNED, 1000000000, 2));
}
END_TEST

/* As where idle_ms became longer between two warnings. */
START_TEST(a_stream_joins_those_that_are_idle_for_as_long)
{
    idle_warned(shard, streams[0], 5000);
    idle_warned(shard, streams[1], 1000);
    idle_warned(shard, streams[2], 3000);
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_WARNED, 1000000, 1), streams[1]);
    idle_leave(shard, streams[1]);
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_WARNED, 1000000, 1), streams[2]);
    idle_leave(shard, streams[2]);
    ck_assert_ptr_eq(idle_overdue(shard, IDLE_WARNED, 1000000, 1), streams[0]);
}
END_TEST

static Suite *idle_suite(void)
{
    Suite *suite = suite_create("idle");
    TCase *tests = tcase_create("idle");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, the_stream_that_is_idle_for_longest_comes_first);
    tcase_add_test(tests, a_stream_is_overdue_after_its_time_and_not_at_it);
    tcase_add_test(tests, a_stream_is_in_one_list);
    tcase_add_test(tests, parked_streams_are_counted);
    tcase_add_test(tests, streams_that_end_leave_their_list);
    tcase_add_test(tests, a_warning_does_not_count_as_use);
    tcase_add_test(tests, a_stream_joins_those_that_are_idle_for_as_long);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(idle_suite());
