/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <math.h>
#include <stdlib.h>

#include "clock.h"

#define ROUNDS            20
#define MIN_ROUNDS        3
#define ROUNDS_S          2.0 /* no more rounds after this time */
#define BLOCK_US          2e3 /* short against the time between two disturbances, long against the clock */
#define PERCENTILE_ROUNDS 3
#define PERCENTILE_CALLS  20000
#define PERCENTILE_US     3e5
#define COSTLY_CALLS      30
#define SLICE_US          200 /* a processor that is taken away stays away for longer */

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

/* Times of n calls, sorted; fewer where the system interrupts so many that twice as many calls are not enough: a call
 * in which others ran says nothing about the library. Returns how many. */
static size_t take_times(const struct bench_runner *runner, double *times_us, size_t n)
{
    size_t taken = 0;
    long interruptions = bench_interruptions();
    for (size_t i = 0; i < 2 * n && taken < n; i++) {
        double start = bench_now();
        runner->call(runner->self);
        times_us[taken] = (bench_now() - start) * 1e6;
        if (times_us[taken] < SLICE_US || bench_interruptions() == interruptions)
            taken++;
        else
            interruptions = bench_interruptions();
    }
    qsort(times_us, taken, sizeof(*times_us), ascending);
    return taken;
}

static size_t percentile_calls(const struct bench_runner *runner)
{
    if (runner->mean_us < 20)
        return PERCENTILE_CALLS;
    return (size_t)fmax(COSTLY_CALLS * (double)runner->closing, PERCENTILE_US / runner->mean_us);
}

/* The least of n sorted values that a share of them does not exceed. */
static double at_share(const double *sorted, size_t n, double share)
{
    return sorted[(size_t)ceil(share * (double)n) - 1];
}

struct bench_percentiles bench_percentiles(const struct bench_runner *runner)
{
    struct bench_percentiles best = {INFINITY, INFINITY, INFINITY, INFINITY};
    size_t n = percentile_calls(runner);
    double *times_us = malloc(n * sizeof(*times_us));
    if (times_us == NULL)
        return bench_no_percentiles();
    for (int round = 0; round < PERCENTILE_ROUNDS; round++) {
        size_t taken = take_times(runner, times_us, n);
        if (taken == 0)
            continue;
        best.p50 = fmin(best.p50, at_share(times_us, taken, 0.5));
        best.p99 = fmin(best.p99, at_share(times_us, taken, 0.99));
        best.p999 = fmin(best.p999, at_share(times_us, taken, 0.999));
        best.max = fmin(best.max, times_us[taken - 1]);
    }
    free(times_us);
    return best;
}

struct bench_percentiles bench_no_percentiles(void)
{
    return (struct bench_percentiles){NAN, NAN, NAN, NAN};
}
