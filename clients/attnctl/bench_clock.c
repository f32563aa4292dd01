/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_clock.h"

#include <sys/timerfd.h>
#include <unistd.h>

/* The timer's count is not read: setting it to another time empties it as well, and saves a system call a wake. */
static void on_time(uv_poll_t *poll, int status, int events)
{
    struct bench_clock *clock = poll->data;
    (void)status;
    (void)events;
    clock->wake(clock->ctx);
}

int bench_clock_open(struct bench_clock *clock, uv_loop_t *loop, void (*wake)(void *ctx), void *ctx)
{
    *clock = (struct bench_clock){.wake = wake, .ctx = ctx};
    clock->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (clock->fd < 0)
        return -1;
    clock->poll.data = clock;
    if (uv_poll_init(loop, &clock->poll, clock->fd) == 0) {
        uv_poll_start(&clock->poll, UV_READABLE, on_time);
        return 0;
    }
    close(clock->fd);
    clock->fd = -1;
    return -1;
}

void bench_clock_wake_at(struct bench_clock *clock, uint64_t time_ns)
{
    struct itimerspec setting = {
        .it_value = {.tv_sec = (time_t)(time_ns / 1000000000), .tv_nsec = time_ns % 1000000000}};
    timerfd_settime(clock->fd, TFD_TIMER_ABSTIME, &setting, NULL);
}

void bench_clock_stop(struct bench_clock *clock)
{
    struct itimerspec never = {0};
    timerfd_settime(clock->fd, 0, &never, NULL);
}

void bench_clock_close(struct bench_clock *clock)
{
    if (!clock->wake || clock->fd < 0)
        return;
    uv_close((uv_handle_t *)&clock->poll, NULL);
    close(clock->fd);
    clock->fd = -1;
}
