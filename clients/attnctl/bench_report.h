/* SPDX-License-Identifier: MIT */
/* What a bench has found, for people and for programs. */
#pragma once

#include "attnctl/bench_capacity.h"
#include "attnctl/bench_echo.h"
#include "attnctl/bench_plan.h"
#include "attnctl/bench_result.h"

/* All of it; `echo` and `capacity` are NULL where they were not asked for. */
struct bench_report {
    const struct bench_plan *plan;
    const struct bench_result *result;
    const struct bench_echo_figures *echo;
    const struct bench_capacity *capacity;
};

/* On standard output: one object of JSON, where nothing was found null; or a table with the latencies as bars. 0, or −1
 * where it cannot be written. */
int bench_report_print(const struct bench_report *report, bool json);

/* A line on standard error that is written over: how a run goes, a few times a second. On a terminal alone. */
void bench_report_tick(const struct bench_result *result, double seconds);

/* Ends that line. */
void bench_report_end_ticks(void);

/* A line on standard error: how a trial of the search went. */
void bench_report_trial(const struct bench_trial *trial);
