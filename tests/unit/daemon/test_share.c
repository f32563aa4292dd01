/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <string.h>

#include "daemon/share.h"
#include "tests/unit/run.h"

/* A request, and so many turns of a loop that waits of any length would show. */
#define REQUEST_NS 1000
#define MANY_TURNS 10000

static struct shard shard;

static void set_up(void)
{
    memset(&shard, 0, sizeof(shard));
    ck_assert_int_eq(share_start(&shard), 0);
}

static void tear_down(void)
{
    share_stop(&shard);
}

static struct share *join(uid_t uid)
{
    struct share *share = share_join(&shard, uid);
    ck_assert_ptr_nonnull(share);
    return share;
}

/* The user asks for as much as is done for it in this turn, by requests that take so long; returns what all took. */
static uint64_t spend(struct share *share, uint64_t request_ns)
{
    uint64_t took_ns = 0;
    for (; share_has_time(share); took_ns += request_ns)
        share_charge(share, request_ns);
    return took_ns;
}

/* The turns until something may be done for the user again; the test fails where that takes for ever. */
static size_t turns_until_time(struct share *share)
{
    size_t n = 0;
    for (; !share_has_time(share); n++) {
        ck_assert_uint_lt(n, MANY_TURNS);
        share_begin_turn(&shard);
    }
    return n;
}

START_TEST(who_comes_has_time_at_once)
{
    struct share *share = join(1), *other = join(2);
    ck_assert(share_has_time(share) && share_has_time(other));
    share_leave(share);
    share_leave(other);
}
END_TEST

START_TEST(a_turn_ends_for_a_user_and_the_next_one_begins)
{
    struct share *share = join(1);
    spend(share, REQUEST_NS);
    ck_assert(!share_has_time(share));
    ck_assert_uint_eq(turns_until_time(share), 1);
    share_leave(share);
}
END_TEST

#define MOST_USERS 100

/* The same for every user, and together no more than for two: a frame that comes meanwhile waits no longer. Of very
 * many users each has still some. */
START_TEST(users_with_something_to_do_have_equal_parts_of_one_budget)
{
    struct share *shares[MOST_USERS];
    uint64_t budget_ns = 0;
    for (size_t n = 0; n < MOST_USERS; n++) {
        shares[n] = join((uid_t)n);
        for (int turn = 0; turn < 3; turn++) {
            uint64_t first_ns = 0;
            share_begin_turn(&shard);
            for (size_t i = 0; i <= n; i++) {
                uint64_t took_ns = spend(shares[i], 1);
                if (i == 0)
                    first_ns = took_ns;
                ck_assert_uint_gt(took_ns, 0);
                ck_assert_uint_eq(took_ns, turn == 2 ? first_ns : took_ns); /* once all have been there for a turn */
            }
            if (n == 1 && turn == 2)
                budget_ns = 2 * first_ns;
            if (n >= 1 && n < 8 && turn == 2)
                ck_assert_uint_le((n + 1) * first_ns, budget_ns);
        }
    }
    for (size_t i = 0; i < MOST_USERS; i++)
        share_leave(shares[i]);
}
END_TEST

START_TEST(users_without_anything_to_do_take_no_part)
{
    struct share *share = join(1), *second = join(2);
    share_charge(share, REQUEST_NS);
    share_begin_turn(&shard);
    uint64_t before_ns = spend(share, REQUEST_NS);
    struct share *idle[] = {join(3), join(4), join(5)};
    share_begin_turn(&shard);
    ck_assert_uint_eq(spend(share, REQUEST_NS), before_ns);
    for (size_t i = 0; i < 3; i++)
        share_leave(idle[i]);
    share_leave(second);
    share_leave(share);
}
END_TEST

START_TEST(a_user_who_is_alone_has_more)
{
    struct share *share = join(1);
    share_begin_turn(&shard);
    uint64_t alone_ns = spend(share, 1);
    struct share *other = join(2);
    share_begin_turn(&shard);
    ck_assert_uint_lt(spend(share, 1), alone_ns);
    share_leave(other);
    share_begin_turn(&shard);
    ck_assert_uint_eq(spend(share, 1), alone_ns);
    share_leave(share);
}
END_TEST

START_TEST(nothing_is_saved_up)
{
    struct share *share = join(1), *other = join(2);
    share_begin_turn(&shard);
    uint64_t once_ns = spend(share, REQUEST_NS);
    for (int i = 0; i < MANY_TURNS; i++)
        share_begin_turn(&shard);
    ck_assert_uint_eq(spend(share, REQUEST_NS), once_ns);
    share_leave(share);
    share_leave(other);
}
END_TEST

/* A request that took as much as ten turns: one is over, and nine are to be waited for before the eleventh. */
START_TEST(a_long_request_is_paid_over_turns)
{
    struct share *share = join(1);
    share_begin_turn(&shard);
    uint64_t turn_ns = spend(share, 1);
    share_begin_turn(&shard);
    share_charge(share, 10 * turn_ns);
    ck_assert_uint_eq(turns_until_time(share), 10);
    share_leave(share);
}
END_TEST

/* One asks for requests of 3 ms, one for those of 1 us: in the end both had as much, within one request. */
START_TEST(users_share_equally_whatever_a_request_takes)
{
    const uint64_t long_ns = 3000000;
    struct share *dear = join(1), *cheap = join(2);
    uint64_t dear_ns = 0, cheap_ns = 0;
    for (int turn = 0; turn < MANY_TURNS; turn++) {
        share_begin_turn(&shard);
        dear_ns += spend(dear, long_ns);
        cheap_ns += spend(cheap, REQUEST_NS);
    }
    ck_assert_uint_gt(cheap_ns, 100 * long_ns);
    ck_assert_uint_le(dear_ns, cheap_ns + 2 * long_ns);
    ck_assert_uint_le(cheap_ns, dear_ns + 2 * long_ns);
    share_leave(dear);
    share_leave(cheap);
}
END_TEST

START_TEST(a_debt_is_bounded)
{
    struct share *share = join(1), *other = join(2);
    share_charge(share, 1000000000);
    size_t of_a_second = turns_until_time(share);
    spend(share, REQUEST_NS);
    share_charge(share, UINT64_MAX);
    share_charge(share, UINT64_MAX);
    ck_assert_uint_gt(of_a_second, 10);
    size_t of_ages = turns_until_time(share);
    ck_assert_uint_le(of_ages, of_a_second + 1);
    share_leave(share);
    share_leave(other);
}
END_TEST

START_TEST(a_user_has_one_share_until_the_last_use_of_it)
{
    struct share *share = join(7);
    ck_assert_ptr_eq(join(7), share);
    ck_assert_ptr_eq(share_use(share), share);
    struct share *other = join(8);
    ck_assert_ptr_ne(other, share);
    share_leave(share);
    share_leave(share);
    ck_assert_ptr_eq(join(7), share); /* there still */
    share_leave(share);
    share_leave(other);
    ck_assert(LIST_FIRST(&shard.shares.all) == share && LIST_NEXT(share, link) == NULL);
    share_leave(share);
    ck_assert(LIST_EMPTY(&shard.shares.all));
}
END_TEST

static Suite *share_suite(void)
{
    Suite *suite = suite_create("share");
    TCase *tests = tcase_create("share");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, who_comes_has_time_at_once);
    tcase_add_test(tests, a_turn_ends_for_a_user_and_the_next_one_begins);
    tcase_add_test(tests, users_with_something_to_do_have_equal_parts_of_one_budget);
    tcase_add_test(tests, users_without_anything_to_do_take_no_part);
    tcase_add_test(tests, a_user_who_is_alone_has_more);
    tcase_add_test(tests, nothing_is_saved_up);
    tcase_add_test(tests, a_long_request_is_paid_over_turns);
    tcase_add_test(tests, users_share_equally_whatever_a_request_takes);
    tcase_add_test(tests, a_debt_is_bounded);
    tcase_add_test(tests, a_user_has_one_share_until_the_last_use_of_it);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(share_suite());
