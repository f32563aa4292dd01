/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <math.h>
#include <stdlib.h>

#include "clock.h"

#define ROUNDS            20
#define MIN_ROUNDS        3
#define ROUNDS_S          2.0 /* no more rounds after this time */
#define BLOCK_US          2e3 /* short against the time between two disturbances, long against the clock */
#define PERCENTILE_ROUNDS 4
#define LONG_CYCLE_ROUNDS 2
#define PERCENTILE_CALLS  20000
#define PERCENTILE_US     3e5
#define COSTLY_CALLS      30
#define SLICE_US          20 /* a processor that is taken away stays away for longer */

static double block_us(const struct bench_runner *runner, size_t calls)
{
    double start = bench_busy();
    for (size_t i = 0; i < calls; i++)
        runner->call(runner->self);
    return (bench_busy() - start) * 1e6;
}

/* Whole periods that fill a block. One of them is run to see, which also brings the state into the caches. */
static size_t block_calls(const struct bench_runner *runner)
{
    double period_us = block_us(runner, runner->period);
    return runner->period * (size_t)fmax(1, BLOCK_US / period_us);
}

static void round_of(struct bench_runner *runner)
{
    size_t calls = block_calls(runner);
    runner->mean_us = fmin(runner->mean_us, block_us(runner, calls) / (double)calls);
}

void bench_means(struct bench_runner *runners, size_t n)
{
    double start = bench_busy();
    for (size_t i = 0; i < n; i++)
        runners[i].mean_us = runners[i].call == NULL ? NAN : INFINITY;
    for (int round = 0; round < MIN_ROUNDS || (round < ROUNDS && bench_busy() - start < ROUNDS_S); round++)
        for (size_t i = 0; i < n; i++)
            if (runners[i].call != NULL)
                round_of(&runners[i]);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A moment by both clocks. */
struct moment {
    double now, busy;
};

static struct moment moment(void)
{
    return (struct moment){bench_now(), bench_busy()};
}

/* Lowers each of n times to that of one more round of calls. Of a call so long that the processor may have been taken
 * away in it, only the time in which the thread ran counts; its clock takes longer to ask than many a call, so what it
 * was at the start follows from an earlier moment. */
static void take_times(const struct bench_runner *runner, double *times_us, size_t n)
{
    struct moment earlier = moment();
    for (size_t i = 0; i < n; i++) {
        double start = bench_now();
        runner->call(runner->self);
        double took_us = (bench_now() - start) * 1e6;
        if (took_us > SLICE_US) {
            double ran_us = (bench_busy() - earlier.busy - (start - earlier.now)) * 1e6;
            took_us = fmax(SLICE_US, fmin(took_us, ran_us));
            earlier = moment();
        }
        times_us[i] = fmin(times_us[i], took_us);
    }
}

/* Whole cycles. */
static size_t percentile_calls(const struct bench_runner *runner)
{
    double calls = fmax(COSTLY_CALLS * (double)runner->closing, PERCENTILE_US / runner->mean_us);
    if (runner->mean_us < 20)
        calls = PERCENTILE_CALLS;
    return runner->cycle * (size_t)ceil(calls / (double)runner->cycle);
}

/* The least of n sorted values that a share of them does not exceed. */
static double at_share(const double *sorted, size_t n, double share)
{
    return sorted[(size_t)ceil(share * (double)n) - 1];
}

struct bench_percentiles bench_percentiles(const struct bench_runner *runner)
{
    size_t n = percentile_calls(runner), rounds = n > 2 * PERCENTILE_CALLS ? LONG_CYCLE_ROUNDS : PERCENTILE_ROUNDS;
    double *times_us = malloc(n * sizeof(*times_us));
    if (times_us == NULL)
        return bench_no_percentiles();
    for (size_t i = 0; i < n; i++)
        times_us[i] = INFINITY;
    for (size_t round = 0; round < rounds; round++)
        take_times(runner, times_us, n);
    qsort(times_us, n, sizeof(*times_us), ascending);
    struct bench_percentiles percentiles = {
        .p50 = at_share(times_us, n, 0.5),
        .p99 = at_share(times_us, n, 0.99),
        .p999 = at_share(times_us, n, 0.999),
        .max = times_us[n - 1],
    };
    free(times_us);
    return percentiles;
}

struct bench_percentiles bench_no_percentiles(void)
{
    return (struct bench_percentiles){NAN, NAN, NAN, NAN};
}
