/* SPDX-License-Identifier: MIT */
/* Threads that work for the shards, and behind them: they take the processor only where no shard wants it, as far as
 * the system lets them be so modest. */
#pragma once

#include <stdatomic.h>

struct workers;

/* A piece of work. */
struct job {
    struct job *next;
    void (*perform)(struct job *job); /* on one of the threads, once; the job is its giver's again from then on */
};

/* So many threads, made when there is a first job for them. While they work, give_way(data) is called now and then, in
 * a signal handler; it is to offer the processor to who comes first. NULL: no memory. */
struct workers *workers_new(unsigned n_threads, void (*give_way)(const void *data), const void *data);

/* Every job that was given has to be done. NULL is allowed. */
void workers_free(struct workers *workers);

/* Has the job run, which comes after those that this thread gave before. Never waits for a thread that works;
 * where no thread can be made, the job is done at once, here. Any thread. */
void workers_give(struct workers *workers, struct job *job);

/* A stack of jobs that any thread may put one on, and of which one thread takes all; neither ever waits for the other.
 * All zeros: empty. */
struct jobs {
    _Atomic(struct job *) newest;
};
void jobs_put(struct jobs *jobs, struct job *job);

/* All of them, the oldest first, linked by `next`; NULL: none. */
struct job *jobs_take(struct jobs *jobs);
