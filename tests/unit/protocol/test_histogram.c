/* SPDX-License-Identifier: MIT */
#include "protocol/histogram.h"

#include <string.h>

#include "tests/unit/run.h"

START_TEST(test_buckets_follow_one_another)
{
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++) {
        uint64_t first = attnp_histogram_floor(i), behind = attnp_histogram_floor(i + 1);
        ck_assert_uint_lt(first, behind);
        ck_assert_uint_eq(attnp_histogram_bucket(first), i);
        ck_assert_uint_eq(attnp_histogram_bucket(behind - 1), i);
        ck_assert(behind - first == 1 || (behind - first) * ATTNP_HISTOGRAM_PARTS <= first);
    }
    ck_assert_uint_eq(attnp_histogram_floor(ATTNP_HISTOGRAM_BUCKETS), UINT64_C(1) << 32);
    ck_assert_uint_eq(attnp_histogram_bucket(UINT64_C(1) << 32), ATTNP_HISTOGRAM_BUCKETS - 1);
    ck_assert_uint_eq(attnp_histogram_bucket(UINT64_MAX), ATTNP_HISTOGRAM_BUCKETS - 1);
}
END_TEST

START_TEST(test_quantiles)
{
    uint64_t counts[ATTNP_HISTOGRAM_BUCKETS] = {0};
    ck_assert_uint_eq(attnp_histogram_quantile(counts, 0.99), 0);
    for (uint64_t value = 1; value <= 1000; value++)
        counts[attnp_histogram_bucket(value)]++;
    for (int percent = 1; percent <= 100; percent++) {
        uint64_t exact = 10 * (uint64_t)percent, found = attnp_histogram_quantile(counts, percent / 100.0);
        ck_assert_uint_ge(found, exact);
        ck_assert_uint_le(found, exact + exact / ATTNP_HISTOGRAM_PARTS + 1);
    }
    ck_assert_uint_eq(attnp_histogram_quantile(counts, 0), 2);
}
END_TEST

static Suite *histogram_suite(void)
{
    Suite *suite = suite_create("histogram");
    TCase *cases = tcase_create("histogram");
    tcase_add_test(cases, test_buckets_follow_one_another);
    tcase_add_test(cases, test_quantiles);
    suite_add_tcase(suite, cases);
    return suite;
}

RUN_SUITES(histogram_suite());
