/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_echo.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attnctl/bench_driver.h"
#include "attnctl/ending.h"
#include "attnctl/interrupt.h"
#include "protocol/push.h"

#define LEAST_PAIRS  10
#define MOST_PAIRS   100
#define MOST_SAMPLES (1 << 20) /* of a part: more than a socket can do within its second */

/* One buffer is enough: what was read is written back before more is read, or the process waits for that. */
static char buffer[1 << 20];

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(buffer, sizeof(buffer));
}

static void on_written(uv_write_t *request, int status)
{
    free(request);
    if (status < 0)
        _exit(0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    if (n < 0)
        _exit(0);
    uv_buf_t back = uv_buf_init(buf->base, (unsigned)n);
    int written = n > 0 ? uv_try_write(stream, &back, 1) : 0;
    if (written < 0)
        written = 0;
    if (written == n)
        return;
    /* The socket is full: the rest is copied behind its request, which frees both. */
    uv_write_t *request = malloc(sizeof(*request) + (size_t)(n - written));
    if (!request)
        _exit(1);
    back = uv_buf_init((char *)(request + 1), (unsigned)(n - written));
    memcpy(back.base, buf->base + written, (size_t)(n - written));
    uv_write(request, stream, &back, 1, on_written);
}

/* What the child does until its socket ends. Ctrl-C is for its parent. */
static _Noreturn void serve(int fd)
{
    uv_loop_t loop;
    uv_pipe_t pipe;
    /* A terminal sends these to attnctl and to this process: the echo is there until attnctl closes the socket. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    ending_forget();
    if (uv_loop_init(&loop) == 0 && uv_pipe_init(&loop, &pipe, 0) == 0 && uv_pipe_open(&pipe, fd) == 0 &&
        uv_read_start((uv_stream_t *)&pipe, on_alloc, on_read) == 0)
        uv_run(&loop, UV_RUN_DEFAULT);
    _exit(1);
}

int bench_echo_start(struct bench_echo *echo, struct problem *problem)
{
    int ends[2];
    *echo = (struct bench_echo){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return problem_set(problem, "no socket for the echo can be made: %s", strerror(errno));
    ending_hold();
    echo->pid = fork();
    if (echo->pid == 0) {
        close(ends[0]);
        serve(ends[1]);
    }
    ending_release();
    close(ends[1]);
    echo->fd = ends[0];
    if (echo->pid > 0)
        return 0;
    problem_set(problem, "no process for the echo can be made: %s", strerror(errno));
    echo->pid = 0;
    bench_echo_stop(echo);
    return -1;
}

void bench_echo_stop(struct bench_echo *echo)
{
    if (echo->fd >= 0)
        close(echo->fd);
    if (echo->pid > 0)
        waitpid(echo->pid, NULL, 0);
    *echo = (struct bench_echo){.fd = -1};
}

/* Our side: the pushes of one stream, each sent when the one before it has come back. */
struct turn {
    const struct bench_load *load;
    struct bench_samples samples;
    uint64_t number, sent_ns, until_ns;
    bool done;
};

static void send_next(struct turn *turn, struct bench_link *link)
{
    struct attnp_push push = {
        .stream = turn->load->streams[0].talk.number,
        .first = turn->number,
        .frames = bench_frames_at(&turn->load->pace.frames, 0, turn->number),
        .n_bytes = turn->load->pace.frames.frame_bytes,
    };
    uint8_t *room = bench_link_room(link, attnp_push_bytes(&push), 0);
    turn->done = !room;
    if (!room)
        return;
    bench_link_added(link, attnp_push_write(room, &push));
    turn->number++;
    turn->sent_ns = bench_now_ns();
}

static bool on_message(struct bench_link *link, const uint8_t *body, size_t n_body, uint64_t now_ns)
{
    struct turn *turn = link->owner;
    (void)body;
    (void)n_body;
    bench_samples_add(&turn->samples, now_ns - turn->sent_ns);
    turn->done = now_ns >= turn->until_ns;
    if (!turn->done)
        send_next(turn, link);
    return true;
}

static void on_ended(struct bench_link *link)
{
    struct turn *turn = link->owner;
    turn->done = true;
}

/* A push takes the place of an answer of any size, so there is always room again. */
static void on_drained(struct bench_link *link)
{
    (void)link;
}

static const struct bench_link_events events = {on_message, on_drained, on_ended};

static double run_echo(struct turn *turn, uv_loop_t *loop, struct bench_link *link, double seconds)
{
    bench_samples_clear(&turn->samples);
    turn->until_ns = bench_now_ns() + (uint64_t)(seconds * 1e9);
    turn->done = false;
    send_next(turn, link);
    bench_link_flush(link);
    while (!turn->done)
        uv_run(loop, UV_RUN_ONCE);
    return bench_samples_median_us(&turn->samples);
}

/* Adds a part to the whole. */
static void add(struct bench_result *whole, const struct bench_result *part)
{
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++) {
        whole->latency[i] += part->latency[i];
        whole->lag[i] += part->lag[i];
    }
    whole->sent += part->sent;
    whole->answered += part->answered;
    whole->dropped += part->dropped;
    whole->lost += part->lost;
    whole->seconds += part->seconds;
    whole->cpu_us += part->cpu_us;
    whole->streams = part->streams;
    whole->max_us = part->max_us > whole->max_us ? part->max_us : whole->max_us;
    whole->interrupted |= part->interrupted;
    whole->broken |= part->broken;
    if (!whole->problem.text[0])
        whole->problem = part->problem;
}

static void run_pairs(struct bench_load *load, struct turn *turn, struct bench_link *link, uint32_t n_pairs,
                      struct bench_result *whole, struct bench_echo_figures *figures)
{
    double ours[MOST_PAIRS], echoes[MOST_PAIRS], ratios[MOST_PAIRS];
    struct bench_samples samples;
    size_t n = 0;
    if (bench_samples_init(&samples, MOST_SAMPLES) < 0)
        return;
    while (n < n_pairs && !whole->broken && !interrupted() && !link->ended) {
        struct bench_result part = {0};
        bench_samples_clear(&samples);
        bench_driver_run(load, &part, &samples);
        add(whole, &part);
        ours[n] = bench_samples_median_us(&samples);
        echoes[n] = run_echo(turn, link->poll.loop, link, load->plan->seconds);
        if (ours[n] > 0 && echoes[n] > 0) {
            ratios[n] = ours[n] / echoes[n];
            n++;
        } else {
            break;
        }
    }
    bench_samples_done(&samples);
    figures->pairs = (uint32_t)n;
    if (n == 0)
        return;
    figures->ratio = bench_median(ratios, n);
    figures->ratio_min = ratios[0];
    figures->ratio_max = ratios[n - 1];
    figures->p50_us = bench_median(ours, n);
    figures->echo_p50_us = bench_median(echoes, n);
}

int bench_echo_compare(struct bench_echo *echo, const struct bench_plan *plan, struct bench_result *result,
                       struct bench_echo_figures *figures, struct problem *problem)
{
    double pairs = plan->seconds < LEAST_PAIRS ? LEAST_PAIRS : plan->seconds > MOST_PAIRS ? MOST_PAIRS : plan->seconds;
    struct bench_plan part = *plan;
    struct bench_load load;
    struct turn turn = {.load = &load};
    struct bench_link link;
    uv_loop_t loop;
    part.seconds = plan->seconds / 2 / (uint32_t)pairs;
    part.tick = NULL;
    *figures = (struct bench_echo_figures){0};
    uv_loop_init(&loop);
    bench_link_init(&link, &events, &turn, 0);
    int status = bench_driver_open(&load, &part, result, problem);
    if (status == 0 && bench_samples_init(&turn.samples, MOST_SAMPLES) < 0)
        status = problem_set(problem, "no memory for the times of the echo");
    if (status == 0)
        status = bench_link_adopt(&link, &loop, echo->fd, problem);
    echo->fd = link.fd >= 0 ? -1 : echo->fd;
    if (status == 0)
        run_pairs(&load, &turn, &link, (uint32_t)pairs, result, figures);
    bench_driver_close(&load);
    bench_link_close(&link);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    bench_link_done(&link);
    bench_samples_done(&turn.samples);
    return status;
}
