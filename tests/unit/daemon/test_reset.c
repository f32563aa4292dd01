/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "daemon/batch.h"
#include "daemon/expiry.h"
#include "daemon/share.h"
#include "daemon/users.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER     1000
#define OPERATOR 0
#define N_FRAMES 40

static struct connection *client;
static struct model *large;
static struct stream *stream;

static void set_up(void)
{
    holder_set_up();
    client = holder_new(0, USER);
    large = holder_large_model("large");
    stream = holder_open(client, (struct holder_terms){.model = large, .credit = N_FRAMES, .name = "mine"});
}

/* The stream has begun, and its state is being emptied for the request with this id. */
static void begin_reset(uint32_t id)
{
    holder_push(client, stream, 0, 2);
    holder_run_dry(0);
    holder_ask_about(client, id, ATTNP_M_RESET, stream);
    ck_assert(stream->lend.loan != NULL);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming; output 1:1=0.5 warming");
}

/* The outputs of N_FRAMES frames from `first` on, computed in the stream. */
static void outputs_of(struct stream *of, uint64_t first, float outputs[N_FRAMES])
{
    float values[N_FRAMES];
    for (size_t i = 0; i < N_FRAMES; i++)
        values[i] = 1 / ((float)i + 3);
    holder_push_values(client, of, first, values, N_FRAMES);
    holder_run_dry(0);
    holder_heard(client);
    ck_assert_uint_eq(holder_messages()->n, N_FRAMES);
    for (size_t i = 0; i < N_FRAMES; i++) {
        const struct heard_message *message = &holder_messages()->messages[i];
        ck_assert_uint_eq(message->output.first, first + i);
        outputs[i] = heard_float(message, 0);
    }
}

START_TEST(a_large_state_is_as_new_after_a_reset)
{
    float fresh[N_FRAMES], before[N_FRAMES], after[N_FRAMES];
    outputs_of(holder_open(client, (struct holder_terms){.model = large, .credit = N_FRAMES}), 0, fresh);
    holder_push(client, stream, 0, 7);
    holder_run_dry(0);
    holder_heard(client);
    outputs_of(stream, 7, before);
    ck_assert_mem_ne(before, fresh, sizeof(fresh));
    holder_ask_about(client, 5, ATTNP_M_RESET, stream);
    ck_assert_str_eq(holder_heard(client), ""); /* not yet */
    holder_wait_away(0);
    ck_assert_str_eq(holder_heard(client), "response 5");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "next_frame"), 7 + N_FRAMES);
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "position"), 0);
    outputs_of(stream, 7 + N_FRAMES, after);
    ck_assert_mem_eq(after, fresh, sizeof(fresh));
    ck_assert_uint_eq(holder_messages()->messages[0].output.position, 0);
}
END_TEST

START_TEST(a_small_state_is_emptied_at_once)
{
    struct stream *small = holder_open(client, (struct holder_terms){0});
    holder_ask_about(client, 5, ATTNP_M_RESET, small);
    ck_assert_str_eq(holder_heard(client), "response 5");
}
END_TEST

START_TEST(what_comes_meanwhile_waits_and_keeps_its_order)
{
    begin_reset(5);
    holder_push(client, stream, 2, 1);
    holder_ask_about(client, 6, ATTNP_M_FINISH, stream);
    holder_ask_about(client, 7, ATTNP_M_RESET, stream);
    holder_push(client, stream, 3, 2);
    for (int i = 0; i < 3; i++)
        holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "");
    ck_assert(!holder_is_busy(0)); /* the loop sleeps while it waits */
    holder_wait_away(0);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(client), "response 5; output 1:2=2 warming; response 6");
    ck_assert(stream->lend.loan != NULL); /* the second one */
    holder_push(client, stream, 5, 1);
    holder_run_dry(0);
    holder_wait_away(0);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(client),
                     "response 7; output 1:3=3 warming; output 1:4=3.5 warming; output 1:5=4 warming");
}
END_TEST

START_TEST(resets_in_a_row_are_each_answered)
{
    begin_reset(5);
    holder_ask_about(client, 6, ATTNP_M_RESET, stream);
    holder_ask_about(client, 7, ATTNP_M_RESET, stream);
    holder_run_all(0);
    ck_assert_str_eq(holder_heard(client), "response 5; response 6; response 7");
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_WAITING_REQUESTS), 0);
}
END_TEST

START_TEST(other_streams_are_served_meanwhile)
{
    struct stream *other = holder_open(client, (struct holder_terms){0});
    begin_reset(5);
    holder_push(client, other, 0, 1);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "output 2:0=0 warming");
}
END_TEST

/* Whoever asked is told once; the stream is gone at once, its memory when the other thread is done with it. */
START_TEST(a_close_ends_it)
{
    begin_reset(5);
    holder_push(client, stream, 2, 1);
    holder_ask_about(client, 6, ATTNP_M_RESET, stream);
    holder_ask_about(client, 7, ATTNP_M_CLOSE, stream);
    ck_assert_str_eq(holder_heard(client), "dropped 1:2+1 closed; response 6 unknown_stream; "
                                           "response 5 unknown_stream; response 7");
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_STREAMS), 0);
    holder_wait_away(0);
    ck_assert_str_eq(holder_heard(client), "");
    holder_expect_no_stream();
}
END_TEST

START_TEST(a_kill_ends_it)
{
    struct connection *root = holder_new(0, OPERATOR);
    begin_reset(5);
    holder_ask_about(root, 6, ATTNP_M_KILL, stream);
    ck_assert_str_eq(holder_heard(client), "response 5 unknown_stream; ended 1 killed");
    ck_assert_str_eq(holder_heard(root), "response 6");
    holder_wait_away(0);
    ck_assert_str_eq(holder_heard(client), "");
    holder_expect_no_stream();
}
END_TEST

START_TEST(its_name_is_free_after_the_end)
{
    begin_reset(5);
    holder_ask_about(client, 6, ATTNP_M_CLOSE, stream);
    wish_open(client, 7, (struct wish){.name = "mine"});
    holder_wait_away(0);
    ck_assert_str_eq(holder_heard(client), "response 5 unknown_stream; response 6; response 7");
}
END_TEST

START_TEST(the_end_of_the_connection_ends_it_where_nothing_is_parked)
{
    holder_configure(CONFIG_timeouts_park_ms, "0");
    begin_reset(5);
    connection_break(client);
    holder_wait_away(0);
    holder_expect_no_stream();
    ck_assert(LIST_EMPTY(&holder_shards[0].shares.all)); /* that of the work included */
}
END_TEST

START_TEST(a_parked_stream_goes_on_empty)
{
    struct connection *next;
    begin_reset(5);
    holder_push(client, stream, 2, 1);
    connection_break(client);
    holder_run_dry(0);
    ck_assert_uint_eq(stream_waiting(stream), 1);
    holder_wait_away(0);
    holder_run_dry(0);
    next = holder_new(0, USER);
    wish_attach(next, 6, 1, stream->open.token);
    ck_assert_str_eq(holder_heard(next), "response 6");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "next_frame"), 3);
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "position"), 1);
    holder_push(next, stream, 3, 1);
    holder_run_dry(0);
    ck_assert_str_eq(holder_heard(next), "output 1:3=2.5 warming");
}
END_TEST

/* On the same shard, or on another one. */
START_TEST(who_attaches_meanwhile_waits_for_it)
{
    unsigned shard = (unsigned)_i;
    struct connection *heir = holder_new(shard, USER);
    begin_reset(5);
    holder_push(client, stream, 2, 1);
    wish_attach(heir, 6, 1, stream->open.token);
    holder_take_mail(0);
    ck_assert_str_eq(holder_heard(heir), "");
    holder_wait_away(0);
    holder_run_dry(0);
    holder_open_mail(shard);
    const char *told = holder_heard(client); /* the attach may come by mail, and so after the reset is done */
    ck_assert_msg(strcmp(told, "superseded 1; response 5") == 0 || strcmp(told, "response 5; superseded 1") == 0, "%s",
                  told);
    ck_assert_str_eq(holder_heard(heir), "response 6");
    ck_assert_uint_eq(heard_uint(&holder_messages()->messages[0], "position"), 1);
    ck_assert_uint_eq(stream->card.shard, shard);
    holder_push(heir, stream, 3, 1);
    holder_run_dry(shard);
    ck_assert_str_eq(holder_heard(heir), "output 1:3=2.5 warming");
}
END_TEST

START_TEST(a_stream_does_not_expire_meanwhile)
{
    const uint64_t ages_us = UINT64_C(1000000) * 1000000;
    begin_reset(5);
    if (_i == 1) {
        connection_break(client);
        client = holder_new(0, USER);
    }
    holder_configure(CONFIG_timeouts_idle_ms, "60000");
    expiry_look(&holder_shards[0], shard_now_us() + ages_us);
    expiry_look(&holder_shards[0], shard_now_us() + 2 * ages_us);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.expired), 0);
    holder_wait_away(0);
    expiry_look(&holder_shards[0], shard_now_us() + 4 * ages_us);
    expiry_look(&holder_shards[0], shard_now_us() + 8 * ages_us);
    holder_wait_away(0);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.expired), 1);
    holder_expect_no_stream();
}
END_TEST

START_TEST(the_holder_is_told_when_somebody_else_asked)
{
    struct connection *root = holder_new((unsigned)_i, OPERATOR);
    holder_push(client, stream, 0, 2);
    holder_run_dry(0);
    holder_heard(client);
    holder_ask_about(root, 6, ATTNP_M_RESET, stream);
    holder_open_mail(0);
    holder_wait_away(0);
    holder_open_mail((unsigned)_i);
    ck_assert_str_eq(holder_heard(client), "reset 1:2");
    ck_assert_str_eq(holder_heard(root), "response 6");
}
END_TEST

/* The fixture ends everything while one state is being emptied and another one's turn has not come. */
START_TEST(the_daemon_may_end_meanwhile)
{
    struct stream *second = holder_open(client, (struct holder_terms){.model = large});
    begin_reset(5);
    holder_ask_about(client, 6, ATTNP_M_RESET, second);
    ck_assert(second->lend.loan != NULL);
}
END_TEST

START_TEST(large_blocks_are_given_back)
{
    struct stream *streams[] = {stream, holder_open(client, (struct holder_terms){.model = large}),
                                holder_open(client, (struct holder_terms){.model = large})};
    for (uint32_t i = 0; i < 3; i++)
        holder_ask_about(client, i, ATTNP_M_CLOSE, streams[i]);
    ck_assert_str_eq(holder_heard(client), "response 0; response 1; response 2");
    ck_assert_uint_eq(users_count(holder_shared.users, USER, USERS_STREAMS), 0);
    connection_break(client);
    ck_assert(!LIST_EMPTY(&holder_shards[0].shares.all)); /* the work is its user's still, and so is the memory */
    ck_assert_uint_gt(users_count(holder_shared.users, USER, USERS_STATE_BYTES), 0);
    holder_wait_away(0);
    ck_assert(LIST_EMPTY(&holder_shards[0].shares.all));
    holder_expect_no_stream();
    client = holder_new(0, USER);
    wish_open(client, 7, (struct wish){.model = "large", .name = "mine"});
    ck_assert_str_eq(holder_heard(client), "response 7");
}
END_TEST

static Suite *reset_suite(void)
{
    Suite *suite = suite_create("reset");
    TCase *tests = tcase_create("reset");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, a_large_state_is_as_new_after_a_reset);
    tcase_add_test(tests, a_small_state_is_emptied_at_once);
    tcase_add_test(tests, what_comes_meanwhile_waits_and_keeps_its_order);
    tcase_add_test(tests, resets_in_a_row_are_each_answered);
    tcase_add_test(tests, other_streams_are_served_meanwhile);
    tcase_add_test(tests, a_close_ends_it);
    tcase_add_test(tests, a_kill_ends_it);
    tcase_add_test(tests, its_name_is_free_after_the_end);
    tcase_add_test(tests, the_end_of_the_connection_ends_it_where_nothing_is_parked);
    tcase_add_test(tests, a_parked_stream_goes_on_empty);
    tcase_add_loop_test(tests, who_attaches_meanwhile_waits_for_it, 0, HOLDER_SHARDS);
    tcase_add_loop_test(tests, a_stream_does_not_expire_meanwhile, 0, 2);
    tcase_add_loop_test(tests, the_holder_is_told_when_somebody_else_asked, 0, HOLDER_SHARDS);
    tcase_add_test(tests, the_daemon_may_end_meanwhile);
    tcase_add_test(tests, large_blocks_are_given_back);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(reset_suite());
