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

struct counters {
#define X(name) atomic_uint_fast64_t name;
    COUNTERS(X)
#undef X
    atomic_uint_fast64_t connections, streams, parked; /* now; parked: of the streams, those that nobody holds */
    atomic_uint_fast64_t oldest_us; /* when the oldest frame of the stream whose turn is next arrived; 0: none waits */
    atomic_uint_fast64_t computing_ns;
    atomic_uint_fast64_t errors[COUNTERS_ERRORS]; /* how often each was told */
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

/* Frames that were taken and are not settled yet: each that is taken is settled once. */
static inline uint64_t counters_waiting(const struct counters *counters)
{
    uint64_t settled = counters_get(&counters->outputs) + counters_get(&counters->refused) +
                       counters_get(&counters->dropped) + counters_get(&counters->skipped);
    uint64_t frames = counters_get(&counters->frames);
    return frames > settled ? frames - settled : 0;
}
