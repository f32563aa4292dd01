/* SPDX-License-Identifier: MIT */
/* What a shard counts, for `stats`: written by its thread alone, read by any, relaxed. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"

/* Each is written by one module: open, end, attach, end, end, pushes, batch, connection. What is counted of frames is
 * in traffic.h, and added up when somebody asks. */
#define COUNTERS(X)                                                                                                    \
    X(opened)                                                                                                          \
    X(closed)                                                                                                          \
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
    atomic_uint_fast64_t connections;             /* now */
    atomic_uint_fast64_t parked;                  /* streams that nobody holds, now */
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
