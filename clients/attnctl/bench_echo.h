/* SPDX-License-Identifier: MIT */
/* What the machine's sockets take alone: a bare echo of libuv in a process of its own, measured in turns with the
 * daemon so that whatever else the machine does falls on both. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "attnctl/bench_plan.h"
#include "attnctl/problem.h"

/* The process that writes back what it reads. */
struct bench_echo {
    pid_t pid; /* 0: none */
    int fd;    /* our end of its socket; −1: none */
};

struct bench_echo_figures {
    uint32_t pairs;                     /* of a part with the daemon and a part with the echo */
    double p50_us;                      /* median of the daemon's parts' medians */
    double echo_p50_us;                 /* the same of the echo's */
    double ratio, ratio_min, ratio_max; /* of the two of a pair: the median of the pairs, the least, the largest */
};

/* Starts the process: before anything that it is not to inherit. 0, or −1 and a problem. */
int bench_echo_start(struct bench_echo *echo, struct problem *problem);

/* Ends it, and waits for that; nothing where none was started. */
void bench_echo_stop(struct bench_echo *echo);

/* Opens the plan's streams and runs them (the closed loop) in turns with the echo, plan->seconds in all. `result` adds
 * up the daemon's parts. 0, or −1 and a problem. An interruption ends it after the pair that was under way; without any
 * pair figures->pairs is 0. */
int bench_echo_compare(struct bench_echo *echo, const struct bench_plan *plan, struct bench_result *result,
                       struct bench_echo_figures *figures, struct problem *problem);
