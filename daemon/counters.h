/* SPDX-License-Identifier: MIT */
/* What a shard counts, for `stats`: written by its thread alone, read by any, relaxed. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"

#define COUNTERS(X)                                                                                                    \
    X(opened)                                                                                                          \
    X(closed)                                                                                                          \
    X(frames)                                                                                                          \
    X(outputs)                                                                                                         \
    X(refused)                                                                                                         \
    X(dropped)                                                                                                         \
    X(skipped)                                                                                                         \
    X(missed)                                                                                                          \
    X(attached)                                                                                                        \
    X(expired)                                                                                                         \
    X(killed)                                                                                                          \
    X(repeated)                                                                                                        \
    X(batches)                                                                                                         \
    X(bytes_in)                                                                                                        \
    X(bytes_out)

/* Codes of errors start at 1. */
#define X(code, name, string, ends, text) +1
enum { COUNTERS_ERRORS = 1 ATTNP_ERRORS(X) };
#undef X

/* Lags in microseconds, four buckets an octave: bucket i holds those from counters_lag_floor(i) on. 2^32 us is the last
 * octave. */
#define COUNTERS_LAG_BUCKETS 128

struct counters {
#define X(name) atomic_uint_fast64_t name;
    COUNTERS(X)
#undef X
    atomic_uint_fast64_t connections, streams, parked; /* now; parked: of the streams, those that nobody holds */
    atomic_uint_fast64_t computing_ns;
    atomic_uint_fast64_t errors[COUNTERS_ERRORS]; /* how often each was told */
    atomic_uint_fast64_t lags[COUNTERS_LAG_BUCKETS];
};

static inline void counters_add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t counters_get(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void counters_set(atomic_uint_fast64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline size_t counters_lag_bucket(uint64_t lag_us)
{
    if (lag_us < 4)
        return (size_t)lag_us;
    unsigned octave = 63 - (unsigned)__builtin_clzll(lag_us);
    size_t bucket = (size_t)(octave - 1) * 4 + ((lag_us >> (octave - 2)) & 3);
    return bucket < COUNTERS_LAG_BUCKETS ? bucket : COUNTERS_LAG_BUCKETS - 1;
}

static inline uint64_t counters_lag_floor(size_t bucket)
{
    return bucket < 4 ? bucket : (4 + (uint64_t)bucket % 4) << (bucket / 4 - 1);
}
