/* SPDX-License-Identifier: MIT */
/*
 * Doubling until a number fails, then halving what lies between. Each trial opens its streams afresh, so that none
 * inherits the queues of one that failed. Short trials are lucky now and then: what they find has to pass a run of
 * twice the length, or is taken back step by step.
 */
#include "config.h"

#include "attnctl/bench_capacity.h"

#include <string.h>

#include "attnctl/bench_driver.h"
#include "attnctl/interrupt.h"

#define MOST_STREAMS   (1u << 20)
#define SEARCH_TRIALS  16 /* the rest of BENCH_MOST_TRIALS confirm */
#define CONFIRM_LENGTH 2.0

static uint32_t step_of(uint32_t streams)
{
    return streams / 33 > 1 ? streams / 33 : 1;
}

uint32_t bench_search_next(const struct bench_search *search, uint32_t first)
{
    if (!search->passed && !search->failed)
        return first;
    if (!search->failed)
        return search->passed < MOST_STREAMS ? 2 * search->passed : 0;
    if (search->failed - search->passed <= step_of(search->passed))
        return 0;
    return search->passed + (search->failed - search->passed) / 2;
}

/* Whether a refusal is one that fewer streams would not meet. */
static bool is_about_number(enum attnp_code refusal)
{
    return refusal == ATTNP_OVER_CAPACITY || refusal == ATTNP_LIMIT_EXCEEDED || refusal == ATTNP_SERVER_FULL ||
           refusal == ATTNP_NO_MEMORY;
}

static void judge(struct bench_trial *trial, const struct bench_plan *plan, const struct bench_result *result)
{
    uint64_t limit_us = plan->limit_us, p99_us = attnp_histogram_quantile(result->latency, 0.99);
    trial->p99_us = p99_us < result->max_us ? p99_us : result->max_us;
    if (result->broken)
        trial->why = result->problem;
    else if (result->refused > 0)
        problem_set(&trial->why, "%u were refused: %s", result->refused, result->problem.text);
    else if (result->lost + result->dropped > 0)
        problem_set(&trial->why, "%ju frames were lost, %ju dropped", (uintmax_t)result->lost,
                    (uintmax_t)result->dropped);
    else if (result->over || (double)result->n_over > 0.01 * (double)(result->answered + result->unsent))
        trial->is_late = true;
    else
        trial->passed = true;
    if (trial->is_late)
        problem_set(&trial->why, "more than 1 %% of the frames took longer than %.3g ms", (double)limit_us / 1000);
}

/* One trial. 0, or −1 and a problem: fewer streams would not help. */
static int try(const struct bench_plan *plan, struct bench_trial *trial, struct bench_result *result,
               struct problem *problem)
{
    struct bench_load load;
    struct bench_plan own = *plan;
    own.streams = trial->streams;
    own.connections = plan->connections < own.streams ? plan->connections : own.streams;
    own.seconds *= trial->confirms ? CONFIRM_LENGTH : 1;
    int status = bench_driver_open(&load, &own, result, problem);
    bool about_number =
        load.talk.refusal ? is_about_number(load.talk.refusal) : load.n_live > 0 && load.n_live < own.connections;
    if (status == 0) {
        if (result->refused == 0)
            bench_driver_run(&load, result, NULL);
        judge(trial, plan, result);
    } else if (about_number) {
        trial->why = *problem;
        status = 0;
    }
    bench_driver_close(&load);
    return status;
}

/* Tries a number, and once more where it was only late: something else may have used the machine for a moment. 0, or −1
 * and a problem. Nothing is kept of a trial that was interrupted. */
static int try_twice(const struct bench_plan *plan, struct bench_trial *trial, struct bench_result *result,
                     struct problem *problem)
{
    const struct bench_trial fresh = *trial;
    int status = try(plan, trial, result, problem);
    if (status == 0 && trial->is_late && !interrupted()) {
        *trial = fresh;
        trial->runs = 2;
        status = try(plan, trial, result, problem);
    }
    return status;
}

/* What a trial says. The number that was found and is not confirmed is reduced, each time by more. */
static void learn(struct bench_search *search, const struct bench_trial *trial)
{
    if (trial->passed) {
        search->passed = trial->streams;
    } else if (!trial->confirms) {
        search->failed = trial->streams;
    } else {
        uint32_t step = step_of(trial->streams) << search->n_reduced++;
        search->passed = trial->streams > step ? trial->streams - step : 0;
    }
}

int bench_capacity_find(const struct bench_plan *plan, struct bench_capacity *capacity, struct bench_result *result,
                        void (*tell)(const struct bench_trial *trial), struct problem *problem)
{
    struct bench_search search = {0};
    struct bench_result own;
    *capacity = (struct bench_capacity){0};
    *result = (struct bench_result){0};
    while (!capacity->confirmed && capacity->n_trials < BENCH_MOST_TRIALS) {
        bool searches = capacity->n_trials < SEARCH_TRIALS && search.n_reduced == 0;
        uint32_t next = searches ? bench_search_next(&search, plan->streams) : 0;
        struct bench_trial *trial = &capacity->trials[capacity->n_trials];
        *trial = (struct bench_trial){.streams = next ? next : search.passed, .confirms = next == 0, .runs = 1};
        if (trial->streams == 0)
            break;
        int status = try_twice(plan, trial, &own, problem);
        if (interrupted())
            break;
        if (status < 0)
            return -1;
        capacity->n_trials++;
        learn(&search, trial);
        tell(trial);
        if (trial->passed)
            *result = own;
        capacity->confirmed = trial->confirms && trial->passed;
    }
    capacity->found = search.passed;
    return 0;
}
