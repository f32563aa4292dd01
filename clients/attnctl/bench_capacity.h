/* SPDX-License-Identifier: MIT */
/* How many streams a daemon can serve in time: the search, which knows nothing of how a number is tried. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "attnctl/bench_plan.h"
#include "attnctl/problem.h"

#define BENCH_MOST_TRIALS 20

struct bench_trial {
    uint32_t streams;
    uint32_t runs; /* 2 where the first was late */
    bool passed;
    bool is_late;       /* that alone is why it did not pass */
    bool confirms;      /* a longer one, of the number that was found */
    uint64_t p99_us;    /* 0: nothing ran */
    struct problem why; /* it failed */
};

struct bench_capacity {
    uint32_t found; /* streams; 0: not even one */
    bool confirmed; /* by the longer run */
    uint32_t n_trials;
    struct bench_trial trials[BENCH_MOST_TRIALS];
};

/* Where a search stands. */
struct bench_search {
    uint32_t passed, failed; /* the largest that passed, the smallest that failed; 0: none yet */
    uint32_t n_reduced;      /* how often what had passed was not confirmed */
};

/* The number to be tried next, beginning with `first`; 0 where `passed` is known to about 3 %. */
uint32_t bench_search_next(const struct bench_search *search, uint32_t first);

/* Searches for the largest number of streams with which 99 % of the frames are within plan->limit_us, and nothing is
 * lost, dropped or refused; plan->streams is tried first, plan->connections are used at most. `result` is that of the
 * last run which passed. `tell` hears of each trial. 0, or −1 and a problem: the search makes no sense. */
int bench_capacity_find(const struct bench_plan *plan, struct bench_capacity *capacity, struct bench_result *result,
                        void (*tell)(const struct bench_trial *trial), struct problem *problem);
