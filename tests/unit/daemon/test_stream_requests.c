/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "daemon/users.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER       1000
#define OTHER_USER 1001
#define OPERATOR   0
#define DAEMON     999

static struct connection *client;
static struct stream *stream;

static void set_up(void)
{
    holder_set_up();
    client = holder_new(0, USER);
    stream = holder_open(client, (struct holder_terms){.credit = 4, .name = "mine"});
}

static void ask_number(struct connection *asker, uint32_t id, enum attnp_method method, uint64_t number)
{
    struct attnp_writer *writer = holder_ask(id, method);
    attnp_write_map(writer, 1);
    attnp_put_uint(writer, "stream", number);
    holder_asked(asker);
}

static void ask_name(struct connection *asker, uint32_t id, enum attnp_method method, const char *name)
{
    struct attnp_writer *writer = holder_ask(id, method);
    attnp_write_map(writer, 1);
    attnp_put_string(writer, "name", name);
    holder_asked(asker);
}

static void attach(struct connection *heir, uint32_t id)
{
    wish_attach(heir, id, stream->card.number, stream->open.token);
}

static uint64_t waiting_requests(uid_t uid)
{
    return users_count(holder_shared.users, uid, USERS_WAITING_REQUESTS);
}

/* What a client may ask of any stream that it may see. */
static const enum attnp_method methods[] = {ATTNP_M_RESET, ATTNP_M_CLOSE, ATTNP_M_FINISH};

START_TEST(a_stream_that_never_was_is_unknown)
{
    ask_number(client, 5, methods[_i], 77);
    ask_name(client, 6, methods[_i], "none");
    ck_assert_str_eq(holder_heard(client), "response 5 unknown_stream; response 6 unknown_stream");
    ck_assert_ptr_nonnull(strstr(holder_messages()->messages[0].error.text, "no stream 77"));
    ck_assert_ptr_nonnull(strstr(holder_messages()->messages[1].error.text, "'none'"));
}
END_TEST

START_TEST(a_stream_that_ended_is_unknown_and_so_is_its_name)
{
    ask_number(client, 4, ATTNP_M_CLOSE, 1);
    ask_number(client, 5, methods[_i], 1);
    ask_name(client, 6, methods[_i], "mine");
    ck_assert_str_eq(holder_heard(client), "response 4; response 5 unknown_stream; response 6 unknown_stream");
}
END_TEST

START_TEST(another_user_is_denied_by_number_and_sees_no_name)
{
    struct connection *other = holder_new(0, OTHER_USER);
    ask_number(other, 5, methods[_i], 1);
    ask_name(other, 6, methods[_i], "mine");
    wish_attach(other, 7, 1, stream->open.token);
    ck_assert_str_eq(holder_heard(other), "response 5 denied; response 6 unknown_stream; response 7 denied");
    holder_push(client, stream, 0, 1);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(client), "output 1:0=0 warming");
}
END_TEST

START_TEST(operators_may_reset_and_close_what_is_others)
{
    struct connection *operators[] = {holder_new(0, OPERATOR), holder_new(1, DAEMON)};
    for (uint32_t i = 0; i < 2; i++) {
        ask_number(operators[i], i, ATTNP_M_RESET, 1);
        holder_open_mail(0);
        holder_open_mail(1);
    }
    ck_assert_str_eq(holder_heard(client), "reset 1:0; reset 1:0");
    ck_assert_str_eq(holder_heard(operators[0]), "response 0");
    ck_assert_str_eq(holder_heard(operators[1]), "response 1");
    ask_name(operators[0], 5, ATTNP_M_CLOSE, "mine");
    ck_assert_str_eq(holder_heard(client), "ended 1 closed");
    ck_assert_str_eq(holder_heard(operators[0]), "response 5");
}
END_TEST

START_TEST(a_name_means_ones_own_stream_before_any_other)
{
    struct connection *root = holder_new(0, OPERATOR);
    holder_open(root, (struct holder_terms){.name = "mine"});
    ask_name(root, 5, ATTNP_M_CLOSE, "mine");
    ck_assert_str_eq(holder_heard(client), "");
    ck_assert_str_eq(holder_heard(root), "response 5");
    ask_name(client, 6, ATTNP_M_FINISH, "mine");
    ck_assert_str_eq(holder_heard(client), "response 6");
}
END_TEST

START_TEST(only_operators_kill)
{
    ask_number(client, 5, ATTNP_M_KILL, 1);
    ck_assert_str_eq(holder_heard(client), "response 5 denied");
    ck_assert_uint_eq(client->n_streams, 1);
    struct connection *daemon_user = holder_new(1, DAEMON);
    ask_name(daemon_user, 6, ATTNP_M_KILL, "mine");
    holder_open_mail(0);
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(client), "ended 1 killed");
    ck_assert_str_eq(holder_heard(daemon_user), "response 6");
}
END_TEST

START_TEST(a_reason_comes_along_to_another_shard)
{
    struct connection *root = holder_new(1, OPERATOR);
    struct attnp_writer *writer = holder_ask(5, ATTNP_M_KILL);
    attnp_write_map(writer, 2);
    attnp_put_uint(writer, "stream", 1);
    attnp_put_string(writer, "reason", "the lab closes");
    holder_asked(root);
    holder_open_mail(0);
    ck_assert_str_eq(holder_heard(client), "ended 1 killed: the lab closes");
}
END_TEST

START_TEST(only_the_holder_finishes)
{
    struct connection *other = holder_new(_i == 0 ? 0 : 1, USER), *root = holder_new(0, OPERATOR);
    ask_number(other, 5, ATTNP_M_FINISH, 1);
    ask_number(root, 6, ATTNP_M_FINISH, 1);
    ck_assert_str_eq(holder_heard(other), "response 5 denied");
    ck_assert_str_eq(holder_heard(root), "response 6 denied");
    ck_assert_uint_eq(waiting_requests(USER), 0);
    ck_assert(STAILQ_EMPTY(&holder_shards[0].mailbox.mails));
}
END_TEST

START_TEST(a_stream_is_named_by_number_or_by_name)
{
    struct attnp_writer *writer = holder_ask(5, methods[_i]);
    attnp_write_map(writer, 2);
    attnp_put_uint(writer, "stream", 1);
    attnp_put_string(writer, "name", "mine");
    holder_asked(client);
    attnp_write_map(holder_ask(6, methods[_i]), 0);
    holder_asked(client);
    ask_name(client, 7, methods[_i], "mine");
    ck_assert_str_eq(holder_heard(client), "response 5 bad_params; response 6 bad_params; response 7");
}
END_TEST

START_TEST(a_request_from_another_shard_is_charged_to_its_user_on_the_way)
{
    struct connection *root = holder_new(1, OPERATOR);
    ask_number(root, 5, ATTNP_M_RESET, 1);
    ck_assert_uint_eq(waiting_requests(OPERATOR), 1);
    ck_assert_str_eq(holder_heard(client), "");
    holder_open_mail(0);
    ck_assert_uint_eq(waiting_requests(OPERATOR), 0);
    ck_assert_uint_eq(waiting_requests(USER), 0);
    ck_assert_str_eq(holder_heard(client), "reset 1:0");
    ck_assert_str_eq(holder_heard(root), "");
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(root), "response 5");
}
END_TEST

START_TEST(no_more_requests_are_on_their_way_than_allowed)
{
    struct connection *far = holder_new(1, USER);
    holder_configure(CONFIG_limits_waiting_requests_per_user, "2");
    for (uint32_t id = 1; id <= 3; id++)
        ask_number(far, id, ATTNP_M_RESET, 1);
    ck_assert_str_eq(holder_heard(far), "response 3 limit_exceeded");
    holder_open_mail(0);
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(far), "response 1; response 2");
    ck_assert_uint_eq(waiting_requests(USER), 0);
}
END_TEST

START_TEST(a_stream_that_ends_while_a_request_is_on_its_way_is_unknown)
{
    struct connection *far = holder_new(1, USER);
    ask_number(far, 5, ATTNP_M_RESET, 1);
    ask_number(far, 6, ATTNP_M_CLOSE, 1);
    attach(far, 7);
    ask_number(client, 8, ATTNP_M_CLOSE, 1);
    holder_open_mail(0);
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(far),
                     "response 5 unknown_stream; response 6 unknown_stream; response 7 unknown_stream");
    ck_assert_str_eq(holder_heard(client), "response 8");
    holder_expect_no_stream();
}
END_TEST

START_TEST(an_asker_that_has_gone_is_not_answered)
{
    struct connection *far = holder_new(1, USER), *later = holder_new(1, USER);
    ask_number(far, 5, ATTNP_M_RESET, 1);
    ask_number(later, 6, ATTNP_M_RESET, 1);
    connection_break(far);
    holder_open_mail(0);
    connection_break(later);
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(client), "reset 1:0; reset 1:0");
    ck_assert_uint_eq(waiting_requests(USER), 0);
}
END_TEST

START_TEST(a_request_for_a_stream_that_has_moved_on_is_sent_after_it)
{
    struct connection *heir = holder_new(1, USER), *far = holder_new(1, USER), *near = holder_new(0, USER);
    attach(heir, 5);
    ask_number(far, 6, ATTNP_M_RESET, 1); /* both go to shard 0, which the stream leaves with the first */
    holder_open_mail(0);
    ask_number(near, 7, ATTNP_M_RESET, 1);
    ck_assert_uint_eq(waiting_requests(USER), 2);
    ck_assert_str_eq(holder_heard(client), "superseded 1");
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(heir), "response 5; reset 1:0; reset 1:0");
    ck_assert_str_eq(holder_heard(far), "response 6");
    ck_assert_uint_eq(waiting_requests(USER), 0);
    holder_open_mail(0);
    ck_assert_str_eq(holder_heard(near), "response 7");
}
END_TEST

START_TEST(a_request_follows_a_stream_that_moves_to_and_fro)
{
    struct connection *heir = holder_new(1, USER), *near = holder_new(0, USER);
    attach(heir, 5);
    holder_open_mail(0);
    attach(client, 6);
    ask_number(near, 7, ATTNP_M_CLOSE, 1); /* to shard 1, which the stream leaves again before */
    holder_open_mail(1);
    ck_assert_str_eq(holder_heard(heir), "response 5; superseded 1");
    holder_open_mail(0);
    ck_assert_str_eq(holder_heard(client), "superseded 1; response 6; ended 1 closed");
    ck_assert_str_eq(holder_heard(near), "response 7");
    holder_expect_no_stream();
}
END_TEST

START_TEST(what_is_on_its_way_when_the_daemon_ends_is_given_back)
{
    struct connection *far = holder_new(1, USER);
    ask_number(far, 5, ATTNP_M_RESET, 1);
    attach(far, 6);
    ck_assert_uint_eq(waiting_requests(USER), 2);
    /* The fixture ends the shards, and finds whatever is left. */
}
END_TEST

static Suite *stream_requests_suite(void)
{
    const int n_methods = sizeof(methods) / sizeof(methods[0]);
    Suite *suite = suite_create("stream_requests");
    TCase *tests = tcase_create("stream_requests");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_loop_test(tests, a_stream_that_never_was_is_unknown, 0, n_methods);
    tcase_add_loop_test(tests, a_stream_that_ended_is_unknown_and_so_is_its_name, 0, n_methods);
    tcase_add_loop_test(tests, another_user_is_denied_by_number_and_sees_no_name, 0, n_methods);
    tcase_add_test(tests, operators_may_reset_and_close_what_is_others);
    tcase_add_test(tests, a_name_means_ones_own_stream_before_any_other);
    tcase_add_test(tests, only_operators_kill);
    tcase_add_test(tests, a_reason_comes_along_to_another_shard);
    tcase_add_loop_test(tests, only_the_holder_finishes, 0, 2);
    tcase_add_loop_test(tests, a_stream_is_named_by_number_or_by_name, 0, n_methods);
    tcase_add_test(tests, a_request_from_another_shard_is_charged_to_its_user_on_the_way);
    tcase_add_test(tests, no_more_requests_are_on_their_way_than_allowed);
    tcase_add_test(tests, a_stream_that_ends_while_a_request_is_on_its_way_is_unknown);
    tcase_add_test(tests, an_asker_that_has_gone_is_not_answered);
    tcase_add_test(tests, a_request_for_a_stream_that_has_moved_on_is_sent_after_it);
    tcase_add_test(tests, a_request_follows_a_stream_that_moves_to_and_fro);
    tcase_add_test(tests, what_is_on_its_way_when_the_daemon_ends_is_given_back);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(stream_requests_suite());
