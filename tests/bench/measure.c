/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <math.h>
#include <stdlib.h>

#include "clock.h"

#define ROUNDS            7
#define BLOCK_US          15e3 /* a block is short against the time between two disturbances, long against the clock */
#define LONG_BLOCK_US     5e5  /* calls whose period takes longer than this are timed in fewer rounds */
#define PERCENTILE_ROUNDS 3
#define PERCENTILE_CALLS  20000
#define PERCENTILE_US     3e5
#define COSTLY_CALLS      30

static double block_us(const struct bench_runner *runner, size_t calls)
{
    double start = bench_now();
    for (size_t i = 0; i < calls; i++)
        runner->call(runner->self);
    return (bench_now() - start) * 1e6;
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
    double longest_us = 0;
    for (size_t i = 0; i < n; i++)
        runners[i].mean_us = runners[i].call == NULL ? NAN : INFINITY;
    for (int round = 0; round < ROUNDS && (round < 3 || longest_us < LONG_BLOCK_US); round++)
        for (size_t i = 0; i < n; i++)
            if (runners[i].call != NULL) {
                round_of(&runners[i]);
                longest_us = fmax(longest_us, runners[i].mean_us * (double)runners[i].period);
            }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void take_times(const struct bench_runner *runner, double *times_us, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double start = bench_now();
        runner->call(runner->self);
        times_us[i] = (bench_now() - start) * 1e6;
    }
    qsort(times_us, n, sizeof(*times_us), ascending);
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
        take_times(runner, times_us, n);
        best.p50 = fmin(best.p50, at_share(times_us, n, 0.5));
        best.p99 = fmin(best.p99, at_share(times_us, n, 0.99));
        best.p999 = fmin(best.p999, at_share(times_us, n, 0.999));
        best.max = fmin(best.max, times_us[n - 1]);
    }
    free(times_us);
    return best;
}

struct bench_percentiles bench_no_percentiles(void)
{
    return (struct bench_percentiles){NAN, NAN, NAN, NAN};
}
