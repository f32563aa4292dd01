/* SPDX-License-Identifier: MIT */
#include "config.h" /* for sched_getcpu and sched_setaffinity */

#include "clock.h"

#include <sched.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double bench_now(void)
{
    return seconds(CLOCK_MONOTONIC);
}

double bench_busy(void)
{
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}

double bench_clock_overhead_us(void)
{
    enum { rounds = 20, calls = 1000 };
    double best = 1;
    for (int round = 0; round < rounds; round++) {
        double start = bench_now(), end = start;
        for (int call = 0; call < calls; call++)
            end = bench_now();
        if (end - start < best)
            best = end - start;
    }
    return best / calls * 1e6;
}

int bench_pin(void)
{
    int processor = sched_getcpu();
    cpu_set_t set;
    CPU_ZERO(&set);
    if (processor < 0)
        return -1;
    CPU_SET((unsigned)processor, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0 ? processor : -1;
}
