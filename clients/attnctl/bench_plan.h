/* SPDX-License-Identifier: MIT */
/* What a bench is to run. Plain values: a plan knows nothing of how it is run. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "attnc/client.h"
#include "attnctl/bench_result.h"

/* The pointers live as long as what runs the plan. */
struct bench_plan {
    const char *socket;
    uint32_t streams, connections;
    double rate;       /* frames a second of each stream; 0: the closed loop, one frame at a time */
    double seconds;    /* of a run */
    uint64_t limit_us; /* a run ends early once more than 1 % of its frames cannot be within it; 0: none */
    uint64_t seed;
    bool admit;           /* the rate goes into `open`, and a stream for which there is no room is left out */
    uint32_t deadline_ms; /* 0: none */
    const char *late;     /* NULL: the daemon's default */
    const char *model;    /* either this or an attention */
    const struct attnc_attention *attention;
    void (*tick)(const struct bench_result *result, double seconds); /* called now and then during a run; or NULL */
};
