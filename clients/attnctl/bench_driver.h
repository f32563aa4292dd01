/* SPDX-License-Identifier: MIT */
/* A plan from its first connection to its last: opens the streams of a load, runs it, closes it. Here the messages of
 * a connection are shared out between bench_pace and bench_talk. */
#pragma once

#include "attnctl/bench_load.h"

/* Connects and opens the streams. 0, with the number of streams refused and why the first was in `result`; or −1 and a
 * problem. bench_driver_close is due in either case. */
int bench_driver_open(struct bench_load *load, const struct bench_plan *plan, struct bench_result *result,
                      struct problem *problem);

/* Runs the plan once, and fills in its result (all but refused, which stays); each latency goes to `samples` as well,
 * unless that is NULL. Frame numbers go on from run to run. A run ends early where it is interrupted, where all streams
 * have ended, or at the plan's limit. */
void bench_driver_run(struct bench_load *load, struct bench_result *result, struct bench_samples *samples);

/* Closes the streams and connections and frees everything. */
void bench_driver_close(struct bench_load *load);
