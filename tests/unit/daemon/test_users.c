/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "daemon/users.h"
#include "tests/unit/run.h"

enum { ROOT = 0, DAEMON = 7, ANNA = 1000, BERT = 1256 }; /* the last two share a bucket */

static struct config config;
static struct users *users;
static struct attnp_error error;

static const struct {
    enum users_what what;
    enum config_key in_all, per_user;
    const char *key;
    enum attnp_code code;
} kinds[] = {
    {USERS_CONNECTIONS, CONFIG_limits_connections, CONFIG_limits_connections_per_user, "connections",
     ATTNP_SERVER_FULL},
    {USERS_STREAMS, CONFIG_limits_streams, CONFIG_limits_streams_per_user, "streams", ATTNP_OVER_CAPACITY},
    {USERS_STATE_BYTES, CONFIG_limits_state_bytes, CONFIG_limits_state_bytes_per_user, "state_bytes",
     ATTNP_OVER_CAPACITY},
    {USERS_BUFFER_BYTES, CONFIG_limits_buffer_bytes, CONFIG_limits_buffer_bytes_per_user, "buffer_bytes",
     ATTNP_LIMIT_EXCEEDED},
    {USERS_WAITING_REQUESTS, CONFIG_limits_waiting_requests, CONFIG_limits_waiting_requests_per_user,
     "waiting_requests", ATTNP_LIMIT_EXCEEDED},
};

static void set(enum config_key key, uint64_t number)
{
    char why[ATTNP_ERROR_TEXT + 1], text[32];
    snprintf(text, sizeof(text), "%ju", (uintmax_t)number);
    ck_assert_msg(config_set(&config, key, text, "test", why) == 0, "%s", why);
}

static void set_up(void)
{
    config_init(&config);
    users = users_new(&config, DAEMON, 1 << 20);
    ck_assert_ptr_nonnull(users);
}

/* Whatever a test has left. */
static void tear_down(void)
{
    static const uid_t uids[] = {ROOT, DAEMON, ANNA, BERT};
    for (size_t i = 0; i < sizeof(uids) / sizeof(uids[0]); i++)
        for (int what = 0; what < N_USERS_LIMITED; what++)
            users_discharge(users, uids[i], what, users_count(users, uids[i], what));
    users_free(users);
}

static void assert_refused(uid_t uid, int kind, uint64_t n, const char *number, bool per_user)
{
    char key[64];
    snprintf(key, sizeof(key), "raise %s%s in [limits]", kinds[kind].key, per_user ? "_per_user" : "");
    uint64_t before = users_total(users, kinds[kind].what);
    ck_assert_int_eq(users_charge(users, uid, kinds[kind].what, n, &error), -1);
    ck_assert_int_eq(error.code, kinds[kind].code);
    ck_assert_msg(strstr(error.text, key) != NULL && strstr(error.text, number) != NULL, "%s: '%s', '%s'", error.text,
                  key, number);
    ck_assert_uint_eq(users_total(users, kinds[kind].what), before);
}

static void take(uid_t uid, int kind, uint64_t n)
{
    ck_assert_msg(users_charge(users, uid, kinds[kind].what, n, &error) == 0, "%s: %s", kinds[kind].key, error.text);
}

START_TEST(one_less_exactly_and_one_more_than_each_limit)
{
    set(kinds[_i].in_all, 9);
    set(kinds[_i].per_user, 5);
    take(ANNA, _i, 4);
    take(ANNA, _i, 1);
    assert_refused(ANNA, _i, 1, " 5 ", true);
    take(BERT, _i, 3);
    take(BERT, _i, 1);
    assert_refused(BERT, _i, 1, "of 9", false);
    users_discharge(users, ANNA, kinds[_i].what, 1);
    take(BERT, _i, 1);
    assert_refused(BERT, _i, 1, "of 9", false);
    ck_assert_uint_eq(users_count(users, ANNA, kinds[_i].what), 4);
    ck_assert_uint_eq(users_count(users, BERT, kinds[_i].what), 5);
    users_discharge(users, ANNA, kinds[_i].what, 4);
    users_discharge(users, BERT, kinds[_i].what, 5);
    ck_assert_uint_eq(users_total(users, kinds[_i].what), 0);
}
END_TEST

START_TEST(no_amount_wraps_around)
{
    set(kinds[_i].in_all, 9);
    take(ANNA, _i, 3);
    assert_refused(ANNA, _i, UINT64_MAX, "of 9", false);
    assert_refused(ANNA, _i, UINT64_MAX - 2, "of 9", false);
    assert_refused(BERT, _i, UINT64_MAX, "of 9", false);
    take(BERT, _i, 6);
}
END_TEST

START_TEST(a_limit_that_is_not_given_leaves_a_sixteenth_to_others)
{
    set(kinds[_i].in_all, 32);
    take(ANNA, _i, 30);
    assert_refused(ANNA, _i, 1, " 30 ", true);
    take(BERT, _i, 2);
    assert_refused(BERT, _i, 1, "of 32", false);
}
END_TEST

START_TEST(an_operator_may_have_everything_but_not_more_than_is_written)
{
    static const uint64_t above_each[N_USERS_LIMITED] = {[USERS_CONNECTIONS] = USERS_OPERATOR_CONNECTIONS,
                                                      [USERS_BUFFER_BYTES] = USERS_OPERATOR_BYTES,
                                                      [USERS_WAITING_REQUESTS] = USERS_OPERATOR_REQUESTS};
    uint64_t above = above_each[kinds[_i].what];
    set(kinds[_i].in_all, 32);
    take(_i % 2 == 0 ? ROOT : DAEMON, _i, 32 + above);
    assert_refused(ROOT, _i, 1, "", false);
    users_discharge(users, _i % 2 == 0 ? ROOT : DAEMON, kinds[_i].what, 32 + above);
    set(kinds[_i].per_user, 5);
    take(ROOT, _i, 5 + above);
    assert_refused(ROOT, _i, 1, "", true);
}
END_TEST

START_TEST(operators_get_in_where_users_have_taken_everything)
{
    set(CONFIG_limits_connections, 2);
    set(CONFIG_limits_connections_per_user, 2);
    take(ANNA, USERS_CONNECTIONS, 2);
    assert_refused(BERT, USERS_CONNECTIONS, 1, "2 connections", false);
    take(ROOT, USERS_CONNECTIONS, USERS_OPERATOR_CONNECTIONS - 1);
    take(DAEMON, USERS_CONNECTIONS, 1);
    assert_refused(ROOT, USERS_CONNECTIONS, 1, "6 connections", false);
}
END_TEST

START_TEST(limits_are_read_anew_at_each_check)
{
    set(CONFIG_limits_streams, 4);
    take(ANNA, USERS_STREAMS, 4);
    assert_refused(BERT, USERS_STREAMS, 1, "of 4", false);
    set(CONFIG_limits_streams, 6);
    ck_assert_uint_eq(users_most(users, USERS_STREAMS), 6);
    take(BERT, USERS_STREAMS, 2);
    set(CONFIG_limits_streams, 3);
    assert_refused(BERT, USERS_STREAMS, 1, "6 streams are open, which is the limit of 3", false);
    set(CONFIG_limits_state_bytes, 1000);
    take(ANNA, USERS_STATE_BYTES, 900);
    set(CONFIG_limits_state_bytes, 500);
    assert_refused(BERT, USERS_STATE_BYTES, 1, "0 of 500 are left", false);
    users_discharge(users, ANNA, USERS_STREAMS, 4); /* what is above is given back like anything else */
    take(BERT, USERS_STREAMS, 1);
}
END_TEST

START_TEST(limits_that_follow_the_machine)
{
    ck_assert_uint_eq(users_most(users, USERS_STATE_BYTES), 1 << 19);
    ck_assert_uint_eq(users_most(users, USERS_BUFFER_BYTES), 1 << 17);
    users_bound_connections(users, 3);
    ck_assert_uint_eq(users_most(users, USERS_CONNECTIONS), 3);
    take(ANNA, USERS_CONNECTIONS, 3);
    assert_refused(BERT, USERS_CONNECTIONS, 1, "of 3", false);
}
END_TEST

START_TEST(what_is_owed_is_charged_whatever_the_limit)
{
    set(CONFIG_limits_buffer_bytes, 100);
    take(ANNA, USERS_CONNECTIONS, 1);
    users_charge_anyway(users, ANNA, USERS_BUFFER_BYTES, 150);
    ck_assert_uint_eq(users_total(users, USERS_BUFFER_BYTES), 150);
    assert_refused(BERT, USERS_BUFFER_BYTES, 1, "0 of 100", false);
    users_discharge(users, ANNA, USERS_BUFFER_BYTES, 150);
    take(BERT, USERS_BUFFER_BYTES, 90);
}
END_TEST

static void *come_and_go(void *argument)
{
    uid_t uid = *(const uid_t *)argument;
    struct attnp_error why;
    for (int i = 0; i < 20000; i++)
        for (int what = 0; what < N_USERS_LIMITED; what++)
            if (users_charge(users, uid, what, 1 + (uint64_t)i % 3, &why) == 0)
                users_discharge(users, uid, what, 1 + (uint64_t)i % 3);
    return NULL;
}

START_TEST(threads_leave_no_trace)
{
    pthread_t threads[4];
    static const uid_t uids[4] = {ANNA, ANNA, BERT, ROOT};
    set(CONFIG_limits_streams, 4); /* so that some are refused */
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, (void *)(uintptr_t)&uids[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int what = 0; what < N_USERS_LIMITED; what++)
        ck_assert_uint_eq(users_total(users, what), 0);
}
END_TEST

static Suite *users_suite(void)
{
    Suite *suite = suite_create("users");
    TCase *tests = tcase_create("users");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, one_less_exactly_and_one_more_than_each_limit, 0, N_USERS_LIMITED);
    tcase_add_loop_test(tests, no_amount_wraps_around, 0, N_USERS_LIMITED);
    tcase_add_loop_test(tests, a_limit_that_is_not_given_leaves_a_sixteenth_to_others, 0, N_USERS_LIMITED);
    tcase_add_loop_test(tests, an_operator_may_have_everything_but_not_more_than_is_written, 0, N_USERS_LIMITED);
    tcase_add_test(tests, operators_get_in_where_users_have_taken_everything);
    tcase_add_test(tests, limits_are_read_anew_at_each_check);
    tcase_add_test(tests, limits_that_follow_the_machine);
    tcase_add_test(tests, what_is_owed_is_charged_whatever_the_limit);
    tcase_add_test(tests, threads_leave_no_trace);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(users_suite());
