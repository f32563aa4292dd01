/* SPDX-License-Identifier: MIT */
/* The buckets of a latency histogram, as `stats` tells them: log-linear, ATTNP_HISTOGRAM_PARTS buckets an octave, so
 * that a bucket is at most 1/16 as wide as it is high; histograms of one kind are merged by adding. Values are
 * microseconds. It counts nothing itself: daemon and clients keep their own counts, [ATTNP_HISTOGRAM_BUCKETS]. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ATTNP_HISTOGRAM_PARTS 16
#define ATTNP_HISTOGRAM_OCTAVES 28 /* above the first 16 us, whose buckets are 1 us each: up to 2^32 us, 71 minutes */
#define ATTNP_HISTOGRAM_BUCKETS (ATTNP_HISTOGRAM_PARTS * (ATTNP_HISTOGRAM_OCTAVES + 1))

/* The bucket of a value; one that is larger than all is counted in the last. Any thread, here and below. */
static inline size_t attnp_histogram_bucket(uint64_t value_us)
{
    if (value_us < ATTNP_HISTOGRAM_PARTS)
        return (size_t)value_us;
    unsigned octave = 63 - (unsigned)__builtin_clzll(value_us); /* from 4 on */
    size_t bucket = (size_t)(octave - 3) * ATTNP_HISTOGRAM_PARTS + (size_t)((value_us >> (octave - 4)) & 15);
    return bucket < ATTNP_HISTOGRAM_BUCKETS ? bucket : ATTNP_HISTOGRAM_BUCKETS - 1;
}

/* The smallest value of a bucket; of ATTNP_HISTOGRAM_BUCKETS: what lies behind the last one. */
static inline uint64_t attnp_histogram_floor(size_t bucket)
{
    if (bucket < ATTNP_HISTOGRAM_PARTS)
        return bucket;
    return (uint64_t)(ATTNP_HISTOGRAM_PARTS + bucket % ATTNP_HISTOGRAM_PARTS) << (bucket / ATTNP_HISTOGRAM_PARTS - 1);
}

/* The value below which this share (0 to 1) of all counts lies: the upper end of its bucket, at most 1/16 too large; 0
 * where nothing was counted. */
uint64_t attnp_histogram_quantile(const uint64_t counts[ATTNP_HISTOGRAM_BUCKETS], double share);
