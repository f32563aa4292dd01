/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <semaphore.h>

#include "daemon/workers.h"
#include "tests/unit/run.h"

#define LOOKS 5

struct piece {
    struct job job;
    sem_t done;
    unsigned n_before, n_after; /* looks */
};

static atomic_uint n_looks;
static int data;

static void give_way(const void *given)
{
    if (given == &data)
        atomic_fetch_add(&n_looks, 1);
}

/* Works until it was interrupted so often, for ever where it is not. */
static void work_long(struct job *job)
{
    struct piece *piece = (struct piece *)job;
    piece->n_before = atomic_load(&n_looks);
    while (atomic_load(&n_looks) < piece->n_before + LOOKS)
        ;
    piece->n_after = atomic_load(&n_looks);
    sem_post(&piece->done);
}

START_TEST(looks_for_who_comes_first_while_it_works)
{
    struct workers *workers = workers_new(2, give_way, &data);
    struct piece pieces[3] = {{.n_before = 0}};
    ck_assert_ptr_nonnull(workers);
    for (int i = 0; i < 3; i++) {
        pieces[i].job.perform = work_long;
        sem_init(&pieces[i].done, 0, 0);
        workers_give(workers, &pieces[i].job);
    }
    for (int i = 0; i < 3; i++) {
        sem_wait(&pieces[i].done);
        ck_assert_uint_ge(pieces[i].n_after, pieces[i].n_before + LOOKS);
        sem_destroy(&pieces[i].done);
    }
    workers_free(workers);
}
END_TEST

static Suite *workers_suite(void)
{
    Suite *suite = suite_create("workers");
    TCase *tests = tcase_create("workers");
    tcase_add_test(tests, looks_for_who_comes_first_while_it_works);
    suite_add_tcase(suite, tests);
    return suite;
}

RUN_SUITES(workers_suite());
