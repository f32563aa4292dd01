/* SPDX-License-Identifier: MIT */
#include "segments.h"

#include "../run.h"

enum { MOST = 70 };

/* Lengths are as the definition has them, and every function agrees with them. */
static void check_cut(size_t n, size_t m)
{
    struct attn_segments segments = attn_segments(n, m);
    size_t slot = 0, longest = 0;
    for (size_t segment = 0; segment < m; segment++) {
        size_t length = segment < n % m ? (n + m - 1) / m : n / m;
        longest = length > longest ? length : longest;
        ck_assert_uint_eq(attn_segments_start(&segments, segment), slot);
        ck_assert_uint_eq(attn_segments_end(&segments, segment), slot + length);
        for (size_t i = 0; i < length; i++, slot++) {
            ck_assert_uint_eq(attn_segments_of(&segments, slot), segment);
            ck_assert_uint_eq(attn_segments_closed(&segments, slot), segment + (i + 1 == length));
        }
    }
    ck_assert_uint_eq(slot, n);
    ck_assert_uint_eq(attn_segments_longest(&segments), longest);
    ck_assert_uint_eq(attn_segments_next(&segments, m - 1), 0);
}

START_TEST(segments_cover_the_slots)
{
    for (size_t n = 1; n <= MOST; n++)
        for (size_t m = 1; m <= n; m++)
            check_cut(n, m);
}
END_TEST

START_TEST(closed_segments_stay_at_m_after_the_first_lap)
{
    struct attn_segments segments = attn_segments(12, 5);
    ck_assert_uint_eq(attn_segments_closed(&segments, 0), 0);
    ck_assert_uint_eq(attn_segments_closed(&segments, 2), 1);
    ck_assert_uint_eq(attn_segments_closed(&segments, 11), 5);
    ck_assert_uint_eq(attn_segments_closed(&segments, 12), 5);
    ck_assert_uint_eq(attn_segments_closed(&segments, UINT64_C(1) << 40), 5);
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("segments");
    TCase *cases = tcase_create("segments");
    tcase_add_test(cases, segments_cover_the_slots);
    tcase_add_test(cases, closed_segments_stay_at_m_after_the_first_lap);
    suite_add_tcase(made, cases);
    return made;
}

RUN_SUITES(suite());
