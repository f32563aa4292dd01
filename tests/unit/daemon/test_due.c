/* SPDX-License-Identifier: MIT */
#include "daemon/due.h"

#include "daemon/answers.h"
#include "daemon/batch.h"
#include "daemon/pending.h"
#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

#define N_STREAMS 3

static struct connection *holder;
static struct shard *shard;
static struct stream *streams[N_STREAMS];

static enum pending_outcome carry_out(struct shard *at, struct stream *stream, const struct asker *asker)
{
    (void)at, (void)stream, (void)asker;
    return PENDING_DONE;
}

static const struct pending_kind kind = {carry_out, NULL};

/* In each stream one frame waits, and a request behind it. */
static void set_up(void)
{
    holder_set_up();
    holder = holder_new(0, 1);
    shard = holder->shard;
    for (size_t i = 0; i < N_STREAMS; i++) {
        streams[i] = holder_open(holder, (struct holder_terms){0});
        holder_push(holder, streams[i], 0, 1);
        pending_add(shard, streams[i], &kind, &(struct asker){0, holder->id, 1});
        batch_remove(shard, streams[i]); /* the test settles its frame */
    }
}

START_TEST(a_stream_without_a_request_is_never_due)
{
    struct stream *stream = holder_open(holder, (struct holder_terms){0});
    ck_assert(!due_is(stream));
    ck_assert(!due_add(shard, stream));
    holder_push(holder, stream, 0, 1);
    holder_run_dry(0);
    ck_assert(!due_is(stream));
    ck_assert(!due_add(shard, stream));
    ck_assert_ptr_null(due_take(shard));
}
END_TEST

START_TEST(a_request_is_due_when_the_last_frame_before_it_is_settled)
{
    holder_push(holder, streams[0], 1, 1); /* behind the request */
    ck_assert(!due_is(streams[0]));
    ck_assert(!due_add(shard, streams[0]));
    ck_assert_ptr_null(due_take(shard));
    answers_drop(streams[0], stream_late);
    ck_assert(due_is(streams[0]));
    batch_remove(shard, streams[0]);
    ck_assert(due_add(shard, streams[0]));
    ck_assert_ptr_eq(due_take(shard), streams[0]);
}
END_TEST

START_TEST(streams_are_listed_once_and_taken_in_order)
{
    static const size_t order[] = {1, 2, 0};
    for (size_t i = 0; i < N_STREAMS; i++)
        answers_drop(streams[order[i]], stream_late);
    for (size_t i = 0; i < N_STREAMS; i++) {
        ck_assert(due_add(shard, streams[order[i]]));
        ck_assert(due_add(shard, streams[order[0]])); /* it keeps its place */
    }
    for (size_t i = 0; i < N_STREAMS; i++)
        ck_assert_ptr_eq(due_take(shard), streams[order[i]]);
    ck_assert_ptr_null(due_take(shard));
}
END_TEST

START_TEST(a_stream_that_was_taken_may_be_listed_again)
{
    answers_drop(streams[0], stream_late);
    for (int i = 0; i < 2; i++) {
        due_add(shard, streams[0]);
        ck_assert_ptr_eq(due_take(shard), streams[0]);
    }
}
END_TEST

START_TEST(a_stream_can_leave_the_list)
{
    for (size_t i = 0; i < N_STREAMS; i++) {
        answers_drop(streams[i], stream_late);
        due_add(shard, streams[i]);
    }
    due_remove(shard, streams[1]);
    due_remove(shard, streams[1]); /* it is not listed */
    ck_assert_ptr_eq(due_take(shard), streams[0]);
    ck_assert_ptr_eq(due_take(shard), streams[2]);
    ck_assert_ptr_null(due_take(shard));
}
END_TEST

START_TEST(a_stream_that_ends_leaves_the_list)
{
    answers_drop(streams[0], stream_late);
    due_add(shard, streams[0]);
    holder_ask_about(holder, 5, ATTNP_M_CLOSE, streams[0]);
    ck_assert_ptr_null(due_take(shard));
}
END_TEST

static Suite *due_suite(void)
{
    Suite *suite = suite_create("due");
    TCase *tests = tcase_create("due");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, a_stream_without_a_request_is_never_due);
    tcase_add_test(tests, a_request_is_due_when_the_last_frame_before_it_is_settled);
    tcase_add_test(tests, streams_are_listed_once_and_taken_in_order);
    tcase_add_test(tests, a_stream_that_was_taken_may_be_listed_again);
    tcase_add_test(tests, a_stream_can_leave_the_list);
    tcase_add_test(tests, a_stream_that_ends_leaves_the_list);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(due_suite());
