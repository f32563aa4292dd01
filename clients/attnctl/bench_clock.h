/* SPDX-License-Identifier: MIT */
/* The one clock of a bench, and a wake at an exact time of it: libuv's own timers count whole milliseconds. */
#pragma once

#include <stdint.h>
#include <time.h>
#include <uv.h>

/* Nanoseconds of a clock that only goes forwards. Any thread. */
static inline uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A timer of the loop. It stays where it was opened, until its handle is closed; the loop's thread alone. */
struct bench_clock {
    uv_poll_t poll;
    int fd; /* −1: none */
    void (*wake)(void *ctx);
    void *ctx;
};

/* Makes a timer that does not run yet. 0, or −1 and errno. */
int bench_clock_open(struct bench_clock *clock, uv_loop_t *loop, void (*wake)(void *ctx), void *ctx);

/* Calls `wake` once, at this time, or at once where it has passed; the last call counts. */
void bench_clock_wake_at(struct bench_clock *clock, uint64_t time_ns);

/* No wake any more. */
void bench_clock_stop(struct bench_clock *clock);

/* Gives the handle back to the loop, which has to run once more; nothing where it is not open, or all zero. */
void bench_clock_close(struct bench_clock *clock);
