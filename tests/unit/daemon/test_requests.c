/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "daemon/plan.h"
#include "tests/unit/daemon/wish.h"
#include "tests/unit/run.h"

#define USER 1000

static struct connection *client;

static void set_up(void)
{
    holder_set_up();
    client = holder_new(0, USER);
}

/* The client said no hello yet. */
static void forget_hello(void)
{
    attnp_session_init(&client->session);
    attnp_session_preface(&client->session);
}

/* Says what was begun with holder_ask, and returns what becomes of the connection. */
static enum connection_next say(struct attnp_writer *writer)
{
    const uint8_t *bytes;
    size_t n_bytes;
    ck_assert_int_eq(attnp_write_end(writer, ATTNP_MAX_MESSAGE, &bytes, &n_bytes), 0);
    return holder_say(client, bytes, n_bytes);
}

static enum connection_next say_plain(uint32_t id, enum attnp_method method)
{
    struct attnp_writer *writer = holder_ask(id, method);
    attnp_write_map(writer, 0);
    return say(writer);
}

static enum connection_next say_hello(uint32_t id, uint64_t version)
{
    struct attnp_writer *writer = holder_ask(id, ATTNP_M_HELLO);
    attnp_write_map(writer, 1);
    attnp_write_key(writer, "versions");
    attnp_write_array(writer, 1);
    attnp_write_uint(writer, version);
    return say(writer);
}

static const msgpack_object *field(const struct heard_message *message, const char *key)
{
    const msgpack_object *value = attnp_map_get(message->content, key);
    ck_assert_msg(value != NULL, "no '%s'", key);
    return value;
}

static void expect_string(const msgpack_object *value, const char *expected)
{
    ck_assert_int_eq(value->type, MSGPACK_OBJECT_STR);
    ck_assert_uint_eq(value->via.str.size, strlen(expected));
    ck_assert_mem_eq(value->via.str.ptr, expected, strlen(expected));
}

static bool lists(const msgpack_object *array, const char *word)
{
    for (uint32_t i = 0; i < array->via.array.size; i++) {
        const msgpack_object *item = &array->via.array.ptr[i];
        if (item->via.str.size == strlen(word) && memcmp(item->via.str.ptr, word, strlen(word)) == 0)
            return true;
    }
    return false;
}

START_TEST(hello_says_who_is_there_and_what_is_served_within_which_limits)
{
    holder_model("one");
    holder_model("two");
    forget_hello();
    holder_configure(CONFIG_limits_streams_per_connection, "17");
    holder_configure(CONFIG_limits_streams, "18");
    holder_configure(CONFIG_limits_unsent_bytes, "5000");
    holder_configure(CONFIG_limits_message_bytes, "6000");
    ck_assert_int_eq(say_hello(5, ATTNP_VERSION), CONNECTION_GOES_ON);
    ck_assert_str_eq(holder_heard(client), "response 5");
    const struct heard_message *answer = &holder_messages()->messages[0];
    expect_string(field(answer, "server"), "attnd");
    expect_string(field(answer, "version"), plan_library_version());
    static const char *const features[] = {"attention", "models", "rate",  "late", "replay", "attach",
                                           "reset",     "finish", "close", "kill", "info",   "stats"};
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        ck_assert_msg(lists(field(answer, "features"), features[i]), "no feature '%s'", features[i]);
    const struct heard_message limits = {.content = field(answer, "limits")};
    ck_assert_uint_eq(heard_uint(&limits, "streams_per_connection"), 17);
    ck_assert_uint_eq(heard_uint(&limits, "max_streams"), 18);
    ck_assert_uint_eq(heard_uint(&limits, "unsent_bytes"), 5000);
    ck_assert_uint_eq(heard_uint(&limits, "max_message"), 6000);
    ck_assert_uint_eq(field(answer, "models")->via.array.size, 2);
    ck_assert(lists(field(answer, "models"), "one") && lists(field(answer, "models"), "two"));
    holder_expect_no_stream(); /* nor is a model used by it */
}
END_TEST

START_TEST(a_request_without_what_it_needs_is_refused_by_its_method)
{
    static const enum attnp_method methods[] = {ATTNP_M_ATTACH, ATTNP_M_RESET, ATTNP_M_FINISH, ATTNP_M_CLOSE,
                                                ATTNP_M_KILL,   ATTNP_M_INFO,  ATTNP_M_OPEN};
    for (uint32_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        ck_assert_int_eq(say_plain(i, methods[i]), CONNECTION_GOES_ON);
        holder_heard(client);
        ck_assert_int_eq(holder_messages()->messages[0].error.code, ATTNP_BAD_PARAMS);
    }
    ck_assert_int_eq(say_plain(20, ATTNP_M_MODELS), CONNECTION_GOES_ON);
    ck_assert_int_eq(say_plain(21, ATTNP_M_STREAMS), CONNECTION_GOES_ON);
    ck_assert_int_eq(say_plain(22, ATTNP_M_STATS), CONNECTION_GOES_ON);
    ck_assert_str_eq(holder_heard(client), "response 20; response 21; response 22");
}
END_TEST

START_TEST(a_hello_of_another_version_ends_the_connection_and_says_why)
{
    forget_hello();
    ck_assert_int_eq(say_hello(5, ATTNP_VERSION + 1), CONNECTION_ENDS_TOLD);
    ck_assert_str_eq(holder_heard(client), "response 5 bad_version");
}
END_TEST

START_TEST(a_hello_that_cannot_be_read_may_be_said_again)
{
    forget_hello();
    ck_assert_int_eq(say_plain(5, ATTNP_M_HELLO), CONNECTION_GOES_ON);
    ck_assert_int_eq(say_hello(6, ATTNP_VERSION), CONNECTION_GOES_ON);
    ck_assert_str_eq(holder_heard(client), "response 5 bad_params; response 6");
}
END_TEST

START_TEST(nothing_comes_before_hello_and_hello_comes_once)
{
    forget_hello();
    ck_assert_int_eq(say_plain(5, ATTNP_M_PING), CONNECTION_ENDS_TOLD);
    ck_assert_str_eq(holder_heard(client), "response 5 bad_order");
    forget_hello();
    ck_assert_int_eq(say_hello(6, ATTNP_VERSION), CONNECTION_GOES_ON);
    ck_assert_int_eq(say_hello(7, ATTNP_VERSION), CONNECTION_ENDS_TOLD);
    ck_assert_str_eq(holder_heard(client), "response 6; response 7 bad_order");
}
END_TEST

START_TEST(a_ping_is_answered)
{
    ck_assert_int_eq(say_plain(5, ATTNP_M_PING), CONNECTION_GOES_ON);
    ck_assert_str_eq(holder_heard(client), "response 5");
    const struct heard_message *answer = &holder_messages()->messages[0];
    expect_string(field(answer, "server"), "attnd");
    expect_string(field(answer, "version"), plan_library_version());
    field(answer, "uptime_s");
}
END_TEST

START_TEST(a_method_that_is_not_spoken_is_refused_and_the_connection_goes_on)
{
    ck_assert_int_eq(say_plain(5, ATTNP_M_EXPORT), CONNECTION_GOES_ON);
    ck_assert_int_eq(say_plain(6, ATTNP_M_UNKNOWN), CONNECTION_GOES_ON);
    ck_assert_int_eq(say_plain(7, ATTNP_M_PING), CONNECTION_GOES_ON);
    ck_assert_str_eq(holder_heard(client), "response 5 not_supported; response 6 unknown_method; response 7");
}
END_TEST

START_TEST(a_notification_is_answered_by_none)
{
    static const uint8_t unknown[] = {0, 0, 0, 8, 0x93, 2, 0xa4, 'w', 'h', 'a', 't', 0x80};
    static const uint8_t ping[] = {0, 0, 0, 8, 0x93, 2, 0xa4, 'p', 'i', 'n', 'g', 0x80};
    ck_assert_int_eq(holder_say(client, unknown, sizeof(unknown)), CONNECTION_GOES_ON);
    ck_assert_str_eq(holder_heard(client), "error unknown_method");
    ck_assert_int_eq(holder_say(client, ping, sizeof(ping)), CONNECTION_ENDS); /* a request, said as a notification */
    ck_assert_str_eq(holder_heard(client), "");
}
END_TEST

START_TEST(what_is_no_message_ends_the_connection)
{
    static const uint8_t nonsense[] = {0, 0, 0, 2, 0xc1, 0xc1};
    static const uint8_t half_request[] = {0, 0, 0, 4, 0x94, 0, 9, 0xc1};
    ck_assert_int_eq(holder_say(client, nonsense, sizeof(nonsense)), CONNECTION_ENDS);
    ck_assert_str_eq(holder_heard(client), "");
    ck_assert_int_eq(holder_say(client, half_request, sizeof(half_request)), CONNECTION_ENDS_TOLD);
    ck_assert_str_eq(holder_heard(client), "response 9 bad_message");
}
END_TEST

START_TEST(streams_of_a_connection_that_breaks_are_all_parked_or_all_ended)
{
    for (size_t i = 0; i < 5; i++)
        holder_open(client, (struct holder_terms){.credit = 4});
    if (_i == 1)
        holder_configure(CONFIG_timeouts_park_ms, "0");
    if (_i == 2)
        holder_shards[0].turn.is_draining = true;
    connection_break(client);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.parked), _i == 0 ? 5 : 0);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.closed), _i == 0 ? 0 : 5);
    if (_i != 0)
        holder_expect_no_stream();
}
END_TEST

START_TEST(errors_that_clients_are_told_are_counted)
{
    say_plain(5, ATTNP_M_EXPORT);
    say_plain(6, ATTNP_M_OPEN);
    say_plain(7, ATTNP_M_OPEN);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.errors[ATTNP_NOT_SUPPORTED]), 1);
    ck_assert_uint_eq(counters_get(&holder_shards[0].counters.errors[ATTNP_BAD_PARAMS]), 2);
}
END_TEST

static Suite *requests_suite(void)
{
    Suite *suite = suite_create("requests");
    TCase *tests = tcase_create("requests");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, hello_says_who_is_there_and_what_is_served_within_which_limits);
    tcase_add_test(tests, a_request_without_what_it_needs_is_refused_by_its_method);
    tcase_add_test(tests, a_hello_of_another_version_ends_the_connection_and_says_why);
    tcase_add_test(tests, a_hello_that_cannot_be_read_may_be_said_again);
    tcase_add_test(tests, nothing_comes_before_hello_and_hello_comes_once);
    tcase_add_test(tests, a_ping_is_answered);
    tcase_add_test(tests, a_method_that_is_not_spoken_is_refused_and_the_connection_goes_on);
    tcase_add_test(tests, a_notification_is_answered_by_none);
    tcase_add_test(tests, what_is_no_message_ends_the_connection);
    tcase_add_loop_test(tests, streams_of_a_connection_that_breaks_are_all_parked_or_all_ended, 0, 3);
    tcase_add_test(tests, errors_that_clients_are_told_are_counted);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(requests_suite());
