/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "daemon/plan.h"
#include "daemon/traffic.h"
#include "tests/unit/run.h"

#define N_SHARDS 3

static struct traffic_book *book;

static void set_up(void)
{
    book = traffic_book_new(N_SHARDS);
    ck_assert_ptr_nonnull(book);
}

static void tear_down(void)
{
    traffic_book_free(book);
}

static struct traffic *get(const char *model, unsigned shard)
{
    struct traffic *traffic = traffic_of(book, model, shard);
    ck_assert_ptr_nonnull(traffic);
    return traffic;
}

static struct traffic_sum sum_of(const char *model)
{
    struct traffic_sum sum = {0};
    for (unsigned shard = 0; shard < N_SHARDS; shard++)
        traffic_add(book, (size_t)traffic_find(book, model), shard, &sum);
    return sum;
}

START_TEST(a_part_is_made_when_it_is_first_asked_for_and_stays)
{
    struct traffic_sum sum = {0};
    ck_assert_int_eq(traffic_find(book, "sounds"), -1);
    struct traffic *one = get("sounds", 1);
    int index = traffic_find(book, "sounds");
    ck_assert_int_ge(index, 0);
    ck_assert(!traffic_add(book, (size_t)index, 0, &sum));
    ck_assert(traffic_add(book, (size_t)index, 1, &sum));
    ck_assert_ptr_eq(get("sounds", 1), one);
    ck_assert_ptr_ne(get("sounds", 0), one);
    ck_assert_ptr_ne(get("music", 1), one);
    ck_assert_uint_eq(traffic_n_names(book), 2);
}
END_TEST

START_TEST(adding_up_is_as_if_one_had_counted_all)
{
    uint64_t expected[ATTNP_HISTOGRAM_BUCKETS] = {0}, lag_sum_us = 0, most_us = 0;
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t lag_us = (uint64_t)i * i % 100003;
        traffic_output(get("sounds", i % N_SHARDS), lag_us, false);
        expected[attnp_histogram_bucket(lag_us)]++;
        lag_sum_us += lag_us;
        most_us = lag_us > most_us ? lag_us : most_us;
    }
    traffic_output(get("music", 0), 1 << 20, false); /* another's */
    struct traffic_sum sum = sum_of("sounds");
    ck_assert_mem_eq(sum.lags, expected, sizeof(expected));
    ck_assert_uint_eq(sum.outputs, 3000);
    ck_assert_uint_eq(sum.lag_sum_us, lag_sum_us);
    ck_assert_uint_eq(sum.lag_max_us, most_us);
}
END_TEST

START_TEST(batches_are_counted_by_powers_of_two)
{
    static const size_t ends[TRAFFIC_SIZES] = {1, 2, 4, 8, 16, 32, PLAN_MOST_AT_ONCE};
    size_t bucket = 0;
    uint64_t expected[TRAFFIC_SIZES] = {0}, n_frames = 0;
    for (size_t n = 1; n <= PLAN_MOST_AT_ONCE; n++) {
        bucket += n > ends[bucket];
        expected[bucket]++;
        n_frames += n;
        traffic_batch(get("sounds", 0), n, 10);
    }
    struct traffic_sum sum = sum_of("sounds");
    ck_assert_mem_eq(sum.sizes, expected, sizeof(expected));
    ck_assert_uint_eq(sum.computed, n_frames);
    ck_assert_uint_eq(sum.computing_ns, 10 * PLAN_MOST_AT_ONCE);
}
END_TEST

START_TEST(a_frame_waits_until_it_is_settled_in_any_way)
{
    struct traffic *traffic = get("sounds", 2);
    counters_add(&traffic->frames, 10);
    struct traffic_sum sum = sum_of("sounds");
    ck_assert_uint_eq(traffic_waiting(&sum), 10);
    traffic_output(traffic, 5, false);
    counters_add(&traffic->refused, 1);
    counters_add(&traffic->dropped, 2);
    counters_add(&traffic->skipped, 3);
    sum = sum_of("sounds");
    ck_assert_uint_eq(traffic_waiting(&sum), 3);
}
END_TEST

START_TEST(raw_attentions_are_counted_under_one_name)
{
    ck_assert_ptr_eq(get("", 0), get(TRAFFIC_ATTENTION, 0));
    ck_assert_int_eq(traffic_find(book, ""), traffic_find(book, TRAFFIC_ATTENTION));
    ck_assert_str_eq(traffic_name(book, (size_t)traffic_find(book, "")), TRAFFIC_ATTENTION);
}
END_TEST

START_TEST(names_are_bounded_and_none_is_forgotten)
{
    struct traffic *first = get("model-0", 0), *last = NULL;
    for (int i = 0; i < 3 * TRAFFIC_MOST_NAMES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "model-%d", i);
        last = get(name, 0);
        traffic_output(last, 1, false);
    }
    ck_assert_uint_eq(traffic_n_names(book), TRAFFIC_MOST_NAMES);
    ck_assert_ptr_eq(get("model-0", 0), first);
    ck_assert_ptr_eq(get(TRAFFIC_OTHERS, 0), last);
    uint64_t n_outputs = 0;
    for (size_t i = 0; i < traffic_n_names(book); i++) {
        struct traffic_sum sum = {0};
        traffic_add(book, i, 0, &sum);
        n_outputs += sum.outputs;
    }
    ck_assert_uint_eq(n_outputs, 3 * TRAFFIC_MOST_NAMES);
}
END_TEST

static Suite *traffic_suite(void)
{
    Suite *suite = suite_create("traffic");
    TCase *tcase = tcase_create("traffic");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_part_is_made_when_it_is_first_asked_for_and_stays);
    tcase_add_test(tcase, adding_up_is_as_if_one_had_counted_all);
    tcase_add_test(tcase, batches_are_counted_by_powers_of_two);
    tcase_add_test(tcase, a_frame_waits_until_it_is_settled_in_any_way);
    tcase_add_test(tcase, raw_attentions_are_counted_under_one_name);
    tcase_add_test(tcase, names_are_bounded_and_none_is_forgotten);
    suite_add_tcase(suite, tcase);
    return suite;
}

RUN_SUITES(traffic_suite());
