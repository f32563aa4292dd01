/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "daemon/model.h"
#include "daemon/shard.h"
#include "daemon/traffic.h"
#include "daemon/users.h"
#include "tests/unit/run.h"

#define N_SHARDS 2
#define N_MANY   1000
#define USER     7

static struct config config;
static struct shard shards[N_SHARDS];
static struct shared shared;
static struct model *model; /* a frame costs 1 ms, and 8 together 0.5 ms each */

static struct model *model_that_costs(double alone_ns, double among_8_ns)
{
    const struct attnp_attention attention = {.method = ATTNP_METHOD_EXACT, .window = 3, .heads = 1, .head_dim = 1};
    struct attnp_error error;
    struct plan *plan;
    ck_assert_int_eq(plan_of_attention(&plan, &attention, &error), 0);
    struct model *made = model_new("costly", plan);
    ck_assert_ptr_nonnull(made);
    cost_set(made->cost, 0, alone_ns);
    cost_set(made->cost, 3, among_8_ns);
    return made;
}

static int enter(struct shard *shard, struct claim *claim, const struct model *of, double rate, uint32_t deadline_ms,
                 struct attnp_error *error)
{
    const struct admission_wish wish = {.uid = 0, .model = of, .rate = rate, .deadline_ms = deadline_ms};
    return admission_enter(shard, claim, &wish, error);
}

static void set_up(void)
{
    char why[ATTNP_ERROR_TEXT + 1];
    struct attnp_error error;
    config_init(&config);
    ck_assert_int_eq(config_set(&config, CONFIG_admission_load_percent, "75", "test", why), 0);
    shared = (struct shared){
        .config = &config, .shards = shards, .n_shards = N_SHARDS, .traffic = traffic_book_new(N_SHARDS)};
    ck_assert_ptr_nonnull(shared.traffic);
    shared.users = users_new(&config, 1, 1 << 30);
    ck_assert_ptr_nonnull(shared.users);
    ck_assert_int_eq(users_charge(shared.users, 0, USERS_STREAMS, 1, &error), 0);
    ck_assert_int_eq(users_charge(shared.users, USER, USERS_STREAMS, 1, &error), 0);
    for (unsigned i = 0; i < N_SHARDS; i++) {
        memset(&shards[i], 0, sizeof(shards[i]));
        shards[i].shared = &shared;
        shards[i].index = i;
        ledger_init(&shards[i].ledger, 0);
    }
    model = model_that_costs(1e6, 1e6);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < N_SHARDS; i++)
        ledger_done(&shards[i].ledger);
    traffic_book_free(shared.traffic);
    ck_assert_uint_eq(users_total(shared.users, USERS_CLAIMED_NS), 0);
    users_discharge(shared.users, 0, USERS_STREAMS, 1);
    users_discharge(shared.users, USER, USERS_STREAMS, 1);
    users_free(shared.users);
    model_release(model);
}

static uint64_t claimed(unsigned shard)
{
    return counters_get(&shards[shard].ledger.claimed_ns);
}

START_TEST(streams_are_admitted_up_to_the_share)
{
    struct claim claims[4];
    struct attnp_error error;
    for (size_t i = 0; i < 3; i++) /* 25 % each */
        ck_assert_int_eq(enter(&shards[0], &claims[i], model, 250, 0, &error), 0);
    ck_assert_uint_eq(claimed(0), 750000000);
    ck_assert_int_eq(enter(&shards[0], &claims[3], model, 250, 0, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_OVER_CAPACITY);
    ck_assert_uint_eq(claimed(0), 750000000);
    ck_assert_int_eq(enter(&shards[1], &claims[3], model, 250, 0, &error), 0);
    admission_leave(&shards[1], &claims[3]);
    admission_leave(&shards[0], &claims[1]);
    ck_assert_int_eq(enter(&shards[0], &claims[1], model, 250, 0, &error), 0);
    for (size_t i = 0; i < 3; i++)
        admission_leave(&shards[0], &claims[i]);
    ck_assert_uint_eq(claimed(0), 0);
}
END_TEST

START_TEST(a_refusal_says_what_is_needed_and_left)
{
    struct claim claim, refused;
    struct attnp_error error;
    ck_assert_int_eq(enter(&shards[0], &claim, model, 500, 0, &error), 0);
    ck_assert_int_eq(enter(&shards[0], &refused, model, 300, 0, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "300 frames/s take 30 % of a shard"));
    ck_assert_ptr_nonnull(strstr(error.text, "75 % (750 frames/s) on the best shard"));
    ck_assert_ptr_nonnull(strstr(error.text, "100 % (1000 frames/s) on all"));
    ck_assert_ptr_nonnull(strstr(error.text, "new connection"));
    ck_assert(error.has_left && error.has_retry);
    ck_assert_double_eq_tol(error.left_shard, 750, 0.01);
    ck_assert_double_eq_tol(error.left_all, 1000, 0.01);
    ck_assert_uint_eq(error.retry_ms, 0);
    ck_assert_int_eq(enter(&shards[1], &refused, model, 800, 0, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "lower the rate"));
    ck_assert(error.has_left && !error.has_retry);
    admission_leave(&shards[0], &claim);
}
END_TEST

/* The other shard, and a sixteenth of all, are for the others. */
START_TEST(one_user_cannot_be_promised_everything)
{
    struct claim claims[3];
    struct attnp_error error;
    struct admission_wish wish = {.uid = USER, .model = model, .rate = 750};
    ck_assert_int_eq(admission_enter(&shards[0], &claims[0], &wish, &error), 0);
    ck_assert_int_eq(admission_enter(&shards[1], &claims[1], &wish, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_OVER_CAPACITY);
    ck_assert_ptr_nonnull(strstr(error.text, "load_percent_per_user"));
    ck_assert_uint_eq(users_count(shared.users, USER, USERS_CLAIMED_NS), 750000000);
    wish.rate = 650;
    ck_assert_int_eq(admission_enter(&shards[1], &claims[1], &wish, &error), 0);
    wish.uid = 0;
    wish.rate = 100;
    ck_assert_int_eq(admission_enter(&shards[1], &claims[2], &wish, &error), 0);
    for (size_t i = 0; i < 3; i++)
        admission_leave(&shards[i > 0], &claims[i]);
}
END_TEST

/* Of each shard: a tenth of two is 200 ms of a second. Operators, too, are bound by a number. */
START_TEST(one_user_is_promised_as_much_as_is_written)
{
    char why[ATTNP_ERROR_TEXT + 1];
    struct claim claims[2];
    struct attnp_error error;
    struct admission_wish wish = {.uid = _i == 0 ? USER : 0, .model = model, .rate = 150};
    ck_assert_int_eq(config_set(&config, CONFIG_admission_load_percent_per_user, "10", "test", why), 0);
    ck_assert_int_eq(admission_enter(&shards[0], &claims[0], &wish, &error), 0);
    wish.rate = 51;
    ck_assert_int_eq(admission_enter(&shards[1], &claims[1], &wish, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_OVER_CAPACITY);
    ck_assert_msg(strstr(error.text, "take 5.1 % of a shard") != NULL &&
                      strstr(error.text, "have claimed 15 % of the 20 % that one user may") != NULL,
                  "%s", error.text);
    ck_assert_uint_eq(claimed(1), 0);
    wish.rate = 50;
    ck_assert_int_eq(admission_enter(&shards[1], &claims[1], &wish, &error), 0);
    ck_assert_uint_eq(users_count(shared.users, wish.uid, USERS_CLAIMED_NS), 200000000);
    admission_leave(&shards[0], &claims[0]);
    ck_assert_uint_eq(users_count(shared.users, wish.uid, USERS_CLAIMED_NS), 50000000);
    wish.rate = 150;
    ck_assert_int_eq(admission_enter(&shards[1], &claims[0], &wish, &error), 0);
    for (size_t i = 0; i < 2; i++)
        admission_leave(&shards[1], &claims[i]);
}
END_TEST

/* What others have claimed is no part of it. */
START_TEST(what_a_user_is_promised_does_not_depend_on_others)
{
    char why[ATTNP_ERROR_TEXT + 1];
    struct claim claims[2];
    struct attnp_error error;
    struct admission_wish wish = {.uid = 0, .model = model, .rate = 200};
    ck_assert_int_eq(config_set(&config, CONFIG_admission_load_percent_per_user, "10", "test", why), 0);
    ck_assert_int_eq(admission_enter(&shards[0], &claims[0], &wish, &error), 0);
    wish.uid = USER;
    ck_assert_int_eq(admission_enter(&shards[0], &claims[1], &wish, &error), 0);
    for (size_t i = 0; i < 2; i++)
        admission_leave(&shards[0], &claims[i]);
}
END_TEST

START_TEST(without_a_rate_nothing_is_claimed_or_refused)
{
    struct claim full, claim;
    struct attnp_error error;
    ck_assert_int_eq(enter(&shards[0], &full, model, 750, 0, &error), 0);
    ck_assert_int_eq(enter(&shards[0], &claim, model, 0, 1, &error), 0);
    ck_assert_uint_eq(claimed(0), 750000000);
    admission_leave(&shards[0], &claim);
    admission_leave(&shards[0], &full);
    ck_assert_uint_eq(claimed(0), 0);
}
END_TEST

START_TEST(what_streams_without_a_rate_use_is_not_left)
{
    struct claim claim;
    struct attnp_error error;
    atomic_store(&shards[0].use.unrated_ns, 700000000);
    ck_assert_int_eq(enter(&shards[0], &claim, model, 100, 0, &error), -1);
    ck_assert_int_eq(enter(&shards[0], &claim, model, 50, 0, &error), 0);
    admission_leave(&shards[0], &claim);
}
END_TEST

/* Each tick counts a quarter, and when they stop using anything, nothing is left of it. */
START_TEST(the_use_of_streams_without_a_rate_is_a_mean)
{
    uint64_t now_us = 1000000;
    admission_tick(&shards[0], now_us);
    admission_note_unrated(&shards[0], 100000000);
    admission_note_unrated(&shards[0], 25000000);
    admission_tick(&shards[0], now_us += 250000); /* half of the time */
    ck_assert_uint_eq(counters_get(&shards[0].use.unrated_ns), 125000000);
    for (size_t i = 0; i < 100; i++)
        admission_tick(&shards[0], now_us += 250000);
    ck_assert_uint_eq(counters_get(&shards[0].use.unrated_ns), 0);
}
END_TEST

/* It was promised its room before; where it stands now is no reason to break that. */
START_TEST(a_stream_that_moves_is_not_refused)
{
    struct claim claims[2];
    struct attnp_error error;
    ck_assert_int_eq(enter(&shards[0], &claims[0], model, 750, 0, &error), 0);
    ck_assert_int_eq(enter(&shards[1], &claims[1], model, 750, 0, &error), 0);
    admission_leave(&shards[1], &claims[1]);
    admission_keep(&shards[0], &claims[1]);
    admission_keep(&shards[0], &claims[1]); /* once is enough */
    ck_assert_uint_eq(claimed(0), 1500000000);
    ck_assert_uint_eq(claimed(1), 0);
    admission_leave(&shards[0], &claims[0]);
    admission_leave(&shards[0], &claims[1]);
    ck_assert_uint_eq(claimed(0), 0);
}
END_TEST

START_TEST(claims_follow_the_cost)
{
    struct claim claims[2];
    struct attnp_error error;
    ck_assert_int_eq(enter(&shards[0], &claims[0], model, 250, 0, &error), 0);
    cost_set(model->cost, 0, 3e6);
    cost_set(model->cost, 3, 3e6);
    ck_assert_int_eq(enter(&shards[0], &claims[1], model, 1, 0, &error), -1);
    ck_assert_uint_eq(claimed(0), 750000000);
    cost_set(model->cost, 0, 1e6);
    cost_set(model->cost, 3, 1e6);
    ck_assert_int_eq(enter(&shards[0], &claims[1], model, 1, 0, &error), 0);
    ck_assert_uint_eq(claimed(0), 251000000);
    admission_leave(&shards[0], &claims[0]);
    cost_set(model->cost, 0, 7e6);
    admission_leave(&shards[0], &claims[1]);
    ck_assert_uint_eq(claimed(0), 0);
}
END_TEST

START_TEST(what_a_frame_costs_besides_computing_is_claimed)
{
    struct claim claim;
    struct attnp_error error;
    atomic_store(&shards[0].ledger.overhead_ns, 500000);
    ck_assert_int_eq(enter(&shards[0], &claim, model, 100, 0, &error), 0);
    ck_assert_uint_eq(claimed(0), 150000000);
    admission_leave(&shards[0], &claim);
}
END_TEST

/* Many streams are computed together when a shard has much to do, few are not. */
START_TEST(a_large_load_claims_what_groups_cost)
{
    struct model *cheap = model_that_costs(20000, 10000);
    struct claim claims[100];
    struct attnp_error error;
    ck_assert_int_eq(enter(&shards[0], &claims[0], cheap, 50, 0, &error), 0);
    ck_assert_uint_eq(claimed(0), 1000000);
    for (size_t i = 1; i < 100; i++)
        ck_assert_int_eq(enter(&shards[0], &claims[i], cheap, 50, 0, &error), 0);
    ck_assert_uint_eq(claimed(0), 50000000); /* 5000 frames/s: 10 in 2 ms, in a group of 8 */
    for (size_t i = 0; i < 100; i++)
        admission_leave(&shards[0], &claims[i]);
    ck_assert_uint_eq(claimed(0), 0);
    model_release(cheap);
}
END_TEST

START_TEST(a_deadline_shorter_than_a_batch_and_a_frame_is_refused)
{
    struct claim claim;
    struct attnp_error error;
    ck_assert_int_eq(enter(&shards[0], &claim, model, 10, 2, &error), -1);
    ck_assert_int_eq(error.code, ATTNP_OVER_CAPACITY);
    ck_assert_ptr_nonnull(strstr(error.text, "a deadline of 2 ms"));
    ck_assert_int_eq(enter(&shards[0], &claim, model, 10, 3, &error), 0);
    admission_leave(&shards[0], &claim);
}
END_TEST

/* Rates that no double sums exactly, entered and left in another order, a million times. */
START_TEST(the_ledger_returns_to_nothing)
{
    static struct claim claims[N_MANY];
    uint32_t random = 1;
    struct model *other = model_that_costs(777, 333);
    for (size_t i = 0; i < 1000 * N_MANY; i++) {
        random = random * 1664525 + 1013904223;
        struct claim *claim = &claims[(random >> 8) % N_MANY];
        if (claim->load != NULL)
            admission_leave(&shards[0], claim);
        else {
            *claim = (struct claim){.rate = (double)(random >> 10) / 3e7 + 1e-3,
                                    .cost = (random & 256 ? model : other)->cost};
            admission_keep(&shards[0], claim);
        }
        if (i % 1000 == 0)
            cost_note(other->cost, 1, 900);
    }
    for (size_t i = 0; i < N_MANY; i++)
        admission_leave(&shards[0], &claims[i]);
    ck_assert_uint_eq(claimed(0), 0);
    ck_assert(LIST_EMPTY(&shards[0].ledger.loads));
    ck_assert_uint_eq(atomic_load(&model->cost->n_users), 1);
    ck_assert_uint_eq(atomic_load(&other->cost->n_users), 1);
    model_release(other);
}
END_TEST

static Suite *admission_suite(void)
{
    Suite *suite = suite_create("admission");
    TCase *tests = tcase_create("admission");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, streams_are_admitted_up_to_the_share);
    tcase_add_test(tests, one_user_cannot_be_promised_everything);
    tcase_add_test(tests, a_refusal_says_what_is_needed_and_left);
    tcase_add_loop_test(tests, one_user_is_promised_as_much_as_is_written, 0, 2);
    tcase_add_test(tests, what_a_user_is_promised_does_not_depend_on_others);
    tcase_add_test(tests, without_a_rate_nothing_is_claimed_or_refused);
    tcase_add_test(tests, what_streams_without_a_rate_use_is_not_left);
    tcase_add_test(tests, the_use_of_streams_without_a_rate_is_a_mean);
    tcase_add_test(tests, a_stream_that_moves_is_not_refused);
    tcase_add_test(tests, claims_follow_the_cost);
    tcase_add_test(tests, what_a_frame_costs_besides_computing_is_claimed);
    tcase_add_test(tests, a_large_load_claims_what_groups_cost);
    tcase_add_test(tests, a_deadline_shorter_than_a_batch_and_a_frame_is_refused);
    tcase_add_test(tests, the_ledger_returns_to_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(admission_suite());
