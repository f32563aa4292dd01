/* SPDX-License-Identifier: MIT */
/* Single latencies, for medians that are compared: a histogram's buckets are too wide for a ratio. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bench_samples {
    uint32_t *ns; /* [capacity], the first n are filled; 4 s at most each */
    size_t n, capacity;
};

/* 0, or −1: no memory. */
int bench_samples_init(struct bench_samples *samples, size_t capacity);
void bench_samples_done(struct bench_samples *samples);

/* One more; what comes when all is full is left out. */
static inline void bench_samples_add(struct bench_samples *samples, uint64_t ns)
{
    if (samples->n < samples->capacity)
        samples->ns[samples->n++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* Forgets all latencies. */
static inline void bench_samples_clear(struct bench_samples *samples)
{
    samples->n = 0;
}

/* The median in microseconds, 0 of none; puts them in order. */
double bench_samples_median_us(struct bench_samples *samples);

/* The median of n numbers, which are put in order; n is at least 1. */
double bench_median(double *values, size_t n);
