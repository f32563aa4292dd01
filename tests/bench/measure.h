/* SPDX-License-Identifier: MIT */
/*
 * Times of things that are to be compared: they run in turn, round after round, and of each the best round counts,
 * since on a machine that others use as well every disturbance only adds. It knows nothing of what it times.
 */
#pragma once

#include <stddef.h>

/* The least period of calls that each read much memory: after another runner the first ones find the caches cold. */
enum { BENCH_FEW_CALLS = 4 };

struct bench_runner {
    void (*call)(void *self);
    void *self;
    size_t period;  /* calls after which the work repeats itself: means are over whole periods */
    size_t cycle;   /* calls after which each does what it did, for percentiles; a multiple of period */
    size_t closing; /* calls from one costly call to the next; 1: all cost the same */
    double mean_us; /* out: of a call */
};

/* What single calls take, µs. */
struct bench_percentiles {
    double p50, p99, p999, max;
};

/* Sets mean_us of each runner; those without a call are left out and get NaN. */
void bench_means(struct bench_runner *runners, size_t n);

/* The same of single calls, for a runner that has its mean: of 20,000 calls where one takes less than 20 µs, of fewer
 * that hold 30 costly ones where it takes longer. They are made anew in some rounds, whose calls with equal numbers do
 * equal work, and each counts with its best: a tick of the system's clock in one of a thousand calls would be
 * the 99.9th percentile otherwise. */
struct bench_percentiles bench_percentiles(const struct bench_runner *runner);

/* All of them NaN. */
struct bench_percentiles bench_no_percentiles(void);
