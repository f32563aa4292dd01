/* SPDX-License-Identifier: MIT */
/*
 * Not libuv's pool: its threads hold a lock while they tell a loop that they are done, and the loop's thread, woken by
 * that, preempts them and spins until they go on. A thread that is to stay behind the shards would then have one of
 * them wait until it gets the processor again. Here a shard takes no lock that a worker may hold, and a worker that
 * tells a shard does so as the last thing.
 *
 * A shard that is woken while a worker has its processor waits until the worker's slice is over, which the kernel looks
 * at once a tick: up to 4 ms, whatever the priorities are. So a timer interrupts a worker every LOOK_NS, and the worker
 * looks whether a shard waits. It gives way only then: what is offered to other programs each time is little work for
 * many switches.
 */
#include "daemon/workers.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* So much behind the shards; where that is refused (attnd.service allows no change of priorities), beside them. */
#define BEHIND 5

/* Costs a hundredth of a worker's time. */
#define LOOK_NS     200000
#define LOOK_SIGNAL SIGURG /* which nobody sends, and which does nothing where it is not handled */

/* The kernel's name of the field, for which the C library of Debian 12 has none. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct workers {
    struct jobs given;
    sem_t n_given; /* those that were taken included; beyond these: the end */
    pthread_mutex_t mutex;
    struct job *first; /* that were taken, in order; the mutex is the workers' alone */
    pthread_mutex_t starting;
    atomic_uint n_threads; /* that run */
    unsigned n_wanted;
    void (*give_way)(const void *data);
    const void *data;
    pthread_t threads[];
};

/* Whose worker the thread is. */
static _Thread_local const struct workers *own;

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

static void look(int number)
{
    (void)number;
    own->give_way(own->data);
}

/* A timer of the calling thread, which stands still. False: there is none to be had. */
static bool make_timer(timer_t *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = LOOK_SIGNAL};
    struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART};
    sigset_t unblocked;
    event.sigev_notify_thread_id = gettid();
    if (sigaction(LOOK_SIGNAL, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, timer) != 0)
        return false;
    sigemptyset(&unblocked);
    sigaddset(&unblocked, LOOK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &unblocked, NULL);
    return true;
}

static void *work(void *argument)
{
    static const struct itimerspec running = {{0, LOOK_NS}, {0, LOOK_NS}}, standing;
    struct workers *workers = argument;
    struct job *job;
    timer_t timer;
    id_t self = (id_t)gettid();
    (void)!setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + BEHIND);
    own = workers;
    bool has_timer = make_timer(&timer);
    while ((job = take(workers)) != NULL) {
        if (has_timer)
            timer_settime(timer, 0, &running, NULL);
        job->perform(job);
        if (has_timer)
            timer_settime(timer, 0, &standing, NULL);
    }
    if (has_timer)
        timer_delete(timer);
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

struct workers *workers_new(unsigned n_threads, void (*give_way)(const void *data), const void *data)
{
    struct workers *workers = calloc(1, sizeof(*workers) + n_threads * sizeof(workers->threads[0]));
    if (workers == NULL)
        return NULL;
    sem_init(&workers->n_given, 0, 0);
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_mutex_init(&workers->starting, NULL);
    workers->n_wanted = n_threads;
    workers->give_way = give_way;
    workers->data = data;
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
