/* SPDX-License-Identifier: MIT */
#include <check.h>

#include "tests/unit/daemon/holder.h"
#include "tests/unit/run.h"

static struct shard *const shard = &holder_shards[HOLDER_SHARDS - 1];

/* No thread runs the loop here: what was woken waits for as long as is wanted. */
START_TEST(way_is_given_to_a_shard_that_was_woken_and_does_not_run)
{
    uv_run(&shard->loop, UV_RUN_NOWAIT);
    ck_assert(!shard_give_way(&holder_shared));
    atomic_store(&shard->is_polling, true); /* asleep */
    ck_assert(!shard_give_way(&holder_shared));
    uv_async_send(&shard->wake);
    ck_assert(shard_give_way(&holder_shared));
    atomic_store(&shard->is_polling, false); /* it runs already */
    ck_assert(!shard_give_way(&holder_shared));
    atomic_store(&shard->is_polling, true);
    uv_run(&shard->loop, UV_RUN_NOWAIT);
    ck_assert(!atomic_load(&shard->is_polling));
    atomic_store(&shard->is_polling, true);
    ck_assert(!shard_give_way(&holder_shared));
}
END_TEST

static bool was_polling;

static void look(uv_timer_t *timer)
{
    (void)timer;
    was_polling = atomic_load(&shard->is_polling);
}

/* A timer of time 0 is due before the poll of the second turn. */
START_TEST(a_shard_is_not_taken_for_asleep_while_it_works)
{
    uv_timer_t timer;
    uv_timer_init(&shard->loop, &timer);
    uv_timer_start(&timer, look, 0, 0);
    was_polling = true;
    uv_run(&shard->loop, UV_RUN_NOWAIT);
    uv_run(&shard->loop, UV_RUN_NOWAIT);
    ck_assert(!was_polling);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&shard->loop, UV_RUN_NOWAIT);
}
END_TEST

static Suite *shard_suite(void)
{
    Suite *suite = suite_create("shard");
    TCase *tests = tcase_create("shard");
    tcase_add_checked_fixture(tests, holder_set_up, holder_tear_down);
    tcase_add_test(tests, way_is_given_to_a_shard_that_was_woken_and_does_not_run);
    tcase_add_test(tests, a_shard_is_not_taken_for_asleep_while_it_works);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(shard_suite());
