/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "daemon/registry.h"
#include "tests/unit/run.h"

static struct config config;
static struct users *users;
static struct registry *registry;
static struct attnp_error error;

static void set_up(void)
{
    char why[ATTNP_ERROR_TEXT + 1];
    config_init(&config);
    config_set(&config, CONFIG_limits_streams, "4", "test", why);
    config_set(&config, CONFIG_limits_state_bytes, "1000", "test", why);
    config_set(&config, CONFIG_limits_state_bytes_per_user, "1000", "test", why);
    users = users_new(&config, 0, 1 << 20);
    ck_assert_ptr_nonnull(users);
    registry = registry_new(users);
    ck_assert_ptr_nonnull(registry);
}

static void tear_down(void)
{
    ck_assert_uint_eq(users_total(users, USERS_STREAMS), 0);
    ck_assert_uint_eq(users_total(users, USERS_STATE_BYTES), 0);
    registry_free(registry);
    users_free(users);
}

static struct attnp_target named(const char *name)
{
    return (struct attnp_target){.by_name = true, .name = {name, strlen(name)}};
}

static struct attnp_target numbered(uint64_t number)
{
    return (struct attnp_target){.stream = number};
}

static struct card card_of(uid_t uid, const char *name, uint64_t bytes)
{
    struct card card = {.uid = uid, .bytes = bytes};
    strcpy(card.name, name);
    return card;
}

START_TEST(numbers_rise_and_are_never_used_again)
{
    struct card one = card_of(1, "", 10), two = card_of(1, "", 10);
    ck_assert_int_eq(registry_add(registry, &one, 0, 1, &error), 0);
    uint64_t first = one.number;
    registry_remove(registry, &one);
    ck_assert_int_eq(registry_add(registry, &two, 0, 1, &error), 0);
    ck_assert_uint_gt(two.number, first);
    ck_assert_ptr_null(registry_find(registry, first, 0, NULL));
    ck_assert_ptr_eq(registry_find(registry, two.number, 0, NULL), &two);
    registry_remove(registry, &two);
}
END_TEST

START_TEST(a_name_is_unique_for_one_user_only)
{
    struct card one = card_of(1, "a", 10), same = card_of(1, "a", 10), others = card_of(2, "a", 10);
    ck_assert_int_eq(registry_add(registry, &one, 0, 1, &error), 0);
    ck_assert_int_eq(registry_add(registry, &same, 0, 1, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_STREAM_EXISTS);
    ck_assert_int_eq(registry_add(registry, &others, 0, 1, &error), 0);
    registry_remove(registry, &one);
    ck_assert_int_eq(registry_add(registry, &same, 0, 1, &error), 0);
    registry_remove(registry, &same);
    registry_remove(registry, &others);
}
END_TEST

START_TEST(no_more_streams_and_bytes_than_allowed)
{
    struct card cards[4];
    for (int i = 0; i < 4; i++) {
        cards[i] = card_of(1, "", 250);
        ck_assert_int_eq(registry_add(registry, &cards[i], 0, 1, &error), 0);
    }
    struct card extra = card_of(1, "", 0);
    ck_assert_int_eq(registry_add(registry, &extra, 0, 1, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_OVER_CAPACITY);
    registry_remove(registry, &cards[0]);
    extra.bytes = 251;
    ck_assert_int_eq(registry_add(registry, &extra, 0, 1, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "251 bytes, and 250 of 1000"));
    extra.bytes = 250;
    ck_assert_int_eq(registry_add(registry, &extra, 0, 1, &error), 0);
    registry_remove(registry, &extra);
    for (int i = 1; i < 4; i++)
        registry_remove(registry, &cards[i]);
}
END_TEST

START_TEST(a_stream_is_seen_by_its_user_and_by_operators)
{
    struct card one = card_of(1, "a", 10), two = card_of(2, "b", 10);
    struct attnp_target a = named("a"), b = named("b"), by_number;
    struct card_view view;
    registry_add(registry, &one, 0, 1, &error);
    registry_add(registry, &two, 0, 1, &error);
    by_number = numbered(two.number);
    ck_assert_int_eq(registry_look(registry, &a, 1, false, &view, &error), 0);
    ck_assert_uint_eq(view.number, one.number);
    ck_assert_int_eq(registry_look(registry, &b, 1, false, &view, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_UNKNOWN_STREAM);
    ck_assert_int_eq(registry_look(registry, &by_number, 1, false, &view, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_DENIED);
    ck_assert_int_eq(registry_look(registry, &b, 1, true, &view, &error), 0);
    ck_assert_int_eq(registry_look(registry, &by_number, 1, true, &view, &error), 0);
    ck_assert_uint_eq(view.uid, 2);
    registry_remove(registry, &one);
    registry_remove(registry, &two);
}
END_TEST

START_TEST(lists_come_in_pages_by_rising_number)
{
    struct card cards[4];
    struct card_view views[2];
    bool more;
    for (int i = 0; i < 4; i++) {
        cards[i] = card_of(i == 1 ? 2 : 1, "", 1);
        registry_add(registry, &cards[i], 0, 1, &error);
    }
    ck_assert_uint_eq(registry_list(registry, 0, 1, false, views, 2, &more), 2);
    ck_assert(more);
    ck_assert_uint_eq(views[1].number, cards[2].number);
    ck_assert_uint_eq(registry_list(registry, views[1].number, 1, false, views, 2, &more), 1);
    ck_assert(!more);
    ck_assert_uint_eq(views[0].number, cards[3].number);
    ck_assert_uint_eq(registry_list(registry, 0, 1, true, views, 2, &more), 2);
    ck_assert_uint_eq(views[1].number, cards[1].number);
    for (int i = 0; i < 4; i++)
        registry_remove(registry, &cards[i]);
}
END_TEST

START_TEST(bytes_that_are_parted_outlive_the_card)
{
    struct card one = card_of(1, "a", 400);
    ck_assert_int_eq(registry_add(registry, &one, 0, 1, &error), 0);
    registry_part(registry, &one, 300);
    ck_assert_uint_eq(users_count(users, 1, USERS_STATE_BYTES), 400);
    registry_remove(registry, &one);
    ck_assert_uint_eq(users_count(users, 1, USERS_STATE_BYTES), 300);
    ck_assert_uint_eq(users_count(users, 1, USERS_STREAMS), 0);
    users_discharge(users, 1, USERS_STATE_BYTES, 300);
}
END_TEST

/* As an add would be answered: but nothing is registered, and nothing charged. */
START_TEST(a_check_answers_like_an_add_and_takes_nothing)
{
    struct card one = card_of(1, "a", 400);
    ck_assert_int_eq(registry_add(registry, &one, 0, 1, &error), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(registry_check(registry, 1, "b", 1, 600, &error), 0);
    ck_assert_int_eq(registry_check(registry, 1, NULL, 0, 600, &error), 0);
    ck_assert_int_eq(registry_check(registry, 2, "a", 1, 600, &error), 0); /* a name is its user's */
    ck_assert_int_eq(registry_check(registry, 1, "a", 1, 0, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_STREAM_EXISTS);
    ck_assert_int_eq(registry_check(registry, 1, "b", 1, 601, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_OVER_CAPACITY);
    ck_assert_ptr_nonnull(strstr(error.text, "601 bytes, and 600 of 1000"));
    ck_assert_uint_eq(users_count(users, 1, USERS_STREAMS), 1);
    ck_assert_uint_eq(users_count(users, 1, USERS_STATE_BYTES), 400);
    ck_assert_uint_eq(users_total(users, USERS_STREAMS), 1);
    registry_remove(registry, &one);
    ck_assert_int_eq(registry_check(registry, 1, "a", 1, 1000, &error), 0);
}
END_TEST

START_TEST(a_check_counts_streams)
{
    struct card cards[4];
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(registry_check(registry, 1, NULL, 0, 0, &error), 0);
        cards[i] = card_of(1, "", 0);
        ck_assert_int_eq(registry_add(registry, &cards[i], 0, 1, &error), 0);
    }
    ck_assert_int_eq(registry_check(registry, 1, NULL, 0, 0, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_OVER_CAPACITY);
    for (int i = 0; i < 4; i++)
        registry_remove(registry, &cards[i]);
}
END_TEST

#define N_NAMES 3000

/* Whatever names are alike, each is its own: by its length, and by the user. */
START_TEST(many_names_are_told_apart)
{
    static struct card cards[2 * N_NAMES];
    char why[ATTNP_ERROR_TEXT + 1], name[ATTNP_MAX_NAME + 1];
    struct card_view view;
    ck_assert_int_eq(config_set(&config, CONFIG_limits_streams, "6000", "test", why), 0);
    ck_assert_int_eq(config_set(&config, CONFIG_limits_streams_per_user, "6000", "test", why), 0);
    for (int i = 0; i < 2 * N_NAMES; i++) {
        snprintf(name, sizeof(name), "%0*d", i / 2 % 30 + 1, i / 2);
        cards[i] = card_of((uid_t)(i % 2), name, 0);
        ck_assert_int_eq(registry_add(registry, &cards[i], 0, 1, &error), 0);
    }
    for (int i = 0; i < 2 * N_NAMES; i++) {
        const struct attnp_target target = named(cards[i].name);
        ck_assert_int_eq(registry_look(registry, &target, (uid_t)(i % 2), false, &view, &error), 0);
        ck_assert_uint_eq(view.number, cards[i].number);
    }
    for (int i = 0; i < 2 * N_NAMES; i++) {
        registry_remove(registry, &cards[i]);
        const struct attnp_target target = named(cards[i].name);
        ck_assert_int_eq(registry_look(registry, &target, (uid_t)(i % 2), false, &view, &error), -1);
    }
}
END_TEST

static Suite *registry_suite(void)
{
    Suite *suite = suite_create("registry");
    TCase *tests = tcase_create("registry");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, numbers_rise_and_are_never_used_again);
    tcase_add_test(tests, a_name_is_unique_for_one_user_only);
    tcase_add_test(tests, no_more_streams_and_bytes_than_allowed);
    tcase_add_test(tests, bytes_that_are_parted_outlive_the_card);
    tcase_add_test(tests, a_stream_is_seen_by_its_user_and_by_operators);
    tcase_add_test(tests, lists_come_in_pages_by_rising_number);
    tcase_add_test(tests, a_check_answers_like_an_add_and_takes_nothing);
    tcase_add_test(tests, a_check_counts_streams);
    tcase_add_test(tests, many_names_are_told_apart);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(registry_suite());
