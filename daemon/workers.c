/* SPDX-License-Identifier: MIT */
/*
 * Not libuv's pool: its threads hold a lock while they tell a loop that they are done, and the loop's thread, woken by
 * that, preempts them and spins until they go on. A thread that is to stay behind the shards would then have one of
 * them wait until it gets the processor again. Here a shard takes no lock that a worker may hold, and a worker that
 * tells a shard does so as the last thing.
 */
#include "daemon/workers.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* So much behind the shards; where that is refused (attnd.service allows no change of priorities), beside them. Much
 * more would be worse: Linux lets a thread of very low priority finish its slice, up to a tick, before one that is
 * woken. */
#define BEHIND 5

struct workers {
    struct jobs given;
    sem_t n_given; /* those that were taken included; beyond these: the end */
    pthread_mutex_t mutex;
    struct job *first; /* that were taken, in order; the mutex is the workers' alone */
    pthread_mutex_t starting;
    atomic_uint n_threads; /* that run */
    unsigned n_wanted;
    pthread_t threads[];
};

void jobs_put(struct jobs *jobs, struct job *job)
{
    job->next = atomic_load(&jobs->newest);
    while (!atomic_compare_exchange_weak(&jobs->newest, &job->next, job))
        ;
}

struct job *jobs_take(struct jobs *jobs)
{
    struct job *job = atomic_exchange(&jobs->newest, NULL), *first = NULL, *next;
    for (; job != NULL; job = next) {
        next = job->next;
        job->next = first;
        first = job;
    }
    return first;
}

/* The next job; NULL: the workers end. */
static struct job *take(struct workers *workers)
{
    while (sem_wait(&workers->n_given) != 0) /* interrupted */
        ;
    pthread_mutex_lock(&workers->mutex);
    if (workers->first == NULL)
        workers->first = jobs_take(&workers->given);
    struct job *job = workers->first;
    if (job != NULL)
        workers->first = job->next;
    pthread_mutex_unlock(&workers->mutex);
    return job;
}

static void *work(void *argument)
{
    struct workers *workers = argument;
    struct job *job;
    id_t self = (id_t)gettid();
    (void)!setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + BEHIND);
    while ((job = take(workers)) != NULL)
        job->perform(job);
    return NULL;
}

/* Signals are the main thread's business. */
static void start_threads(struct workers *workers)
{
    sigset_t all, before;
    unsigned n = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (n < workers->n_wanted && pthread_create(&workers->threads[n], NULL, work, workers) == 0)
        n++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    atomic_store(&workers->n_threads, n);
}

/* False: no thread can be made. */
static bool has_threads(struct workers *workers)
{
    if (atomic_load(&workers->n_threads) > 0)
        return true;
    pthread_mutex_lock(&workers->starting);
    if (atomic_load(&workers->n_threads) == 0)
        start_threads(workers);
    pthread_mutex_unlock(&workers->starting);
    return atomic_load(&workers->n_threads) > 0;
}

struct workers *workers_new(unsigned n_threads)
{
    struct workers *workers = calloc(1, sizeof(*workers) + n_threads * sizeof(workers->threads[0]));
    if (workers == NULL)
        return NULL;
    sem_init(&workers->n_given, 0, 0);
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_mutex_init(&workers->starting, NULL);
    workers->n_wanted = n_threads;
    return workers;
}

void workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    for (unsigned i = 0; i < workers->n_threads; i++)
        sem_post(&workers->n_given);
    for (unsigned i = 0; i < workers->n_threads; i++)
        pthread_join(workers->threads[i], NULL);
    sem_destroy(&workers->n_given);
    pthread_mutex_destroy(&workers->mutex);
    pthread_mutex_destroy(&workers->starting);
    free(workers);
}

void workers_give(struct workers *workers, struct job *job)
{
    if (!has_threads(workers)) {
        job->perform(job);
        return;
    }
    jobs_put(&workers->given, job);
    sem_post(&workers->n_given);
}
