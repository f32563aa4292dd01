/* SPDX-License-Identifier: MIT */
#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

static struct connection *holder;

static void set_up(void)
{
    holder_set_up();
    holder = holder_new(0, 1);
}

START_TEST(a_frame_is_answered_by_the_turn_after_its_push)
{
    struct stream *stream = holder_open(holder, (struct holder_terms){0});
    holder_push(holder, stream, 0, 3);
    ck_assert_str_eq(holder_heard(holder), "");
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:0=0 warming");
    holder_turn(0);
    holder_turn(0);
    holder_turn(0);
    ck_assert_str_eq(holder_heard(holder), "output 1:1=0.5 warming; output 1:2=1");
}
END_TEST

static Suite *pushes_suite(void)
{
    Suite *suite = suite_create("pushes");
    TCase *tests = tcase_create("pushes");
    tcase_add_checked_fixture(tests, set_up, holder_tear_down);
    tcase_add_test(tests, a_frame_is_answered_by_the_turn_after_its_push);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(pushes_suite());
