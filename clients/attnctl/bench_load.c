/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_load.h"

#include <stdlib.h>
#include <string.h>

#include "attnctl/bench_pace.h"
#include "attnctl/bench_talk.h"
#include "attnctl/interrupt.h"
#include "protocol/message.h"

#define TICK_MS    200
#define PATIENCE_S 30.0 /* for the answers to requests */

static bool on_message(struct bench_link *link, const uint8_t *body, size_t n_body, uint64_t now_ns)
{
    struct bench_load *load = link->owner;
    load->heard_ns = now_ns;
    if (attnp_is_output(body, n_body))
        return bench_pace_take(load, link, body, n_body, now_ns);
    return bench_talk_take(load, link, body, n_body);
}

static void on_drained(struct bench_link *link)
{
    struct bench_load *load = link->owner;
    for (uint32_t i = 0; i < load->n_streams; i++)
        if (load->streams[i].link == link->index)
            bench_pace_refill(load, &load->streams[i]);
}

void bench_load_end_stream(struct bench_load *load, struct bench_stream *stream, const char *why)
{
    if (!stream->open)
        return;
    stream->open = false;
    load->n_waiting -= stream->due - stream->settled;
    if (load->draining)
        stream->next = stream->settled;
    if (!load->result)
        return;
    load->result->broken = true;
    if (!load->result->problem.text[0])
        problem_set(&load->result->problem, "the daemon ended a stream: %s", why);
}

static void on_ended(struct bench_link *link)
{
    struct bench_load *load = link->owner;
    load->n_live--;
    load->n_asked_all -= load->n_asked[link->index];
    load->n_asked[link->index] = 0;
    if (load->result)
        load->result->problem = link->why;
    for (uint32_t i = 0; i < load->n_streams; i++)
        if (load->streams[i].link == link->index)
            bench_load_end_stream(load, &load->streams[i], link->why.text);
}

static const struct bench_link_events events = {on_message, on_drained, on_ended};

/* The tick only ends a wait, which then looks at the time. */
static void on_tick(uv_timer_t *timer)
{
    struct bench_load *load = timer->data;
    if (load->running && load->plan->tick)
        load->plan->tick(load->result, (double)(bench_now_ns() - load->start_ns) / 1e9);
}

static void on_interrupt(uv_poll_t *poll, int status, int happened)
{
    (void)status;
    (void)happened;
    uv_poll_stop(poll);
}

bool bench_load_wait(struct bench_load *load, bool (*is_left)(const struct bench_load *load), uint64_t until_ns)
{
    while (is_left(load) && load->n_live > 0 && bench_now_ns() < until_ns && !(load->heeds_interrupt && interrupted()))
        uv_run(&load->loop, UV_RUN_ONCE);
    return !is_left(load);
}

static uint32_t slot_of(const struct bench_load *load, uint64_t number)
{
    return (uint32_t)((number * 0x9e3779b97f4a7c15u) >> 32) & (load->n_slots - 1);
}

struct bench_stream *bench_load_find(const struct bench_load *load, uint64_t number)
{
    if (!load->slots)
        return NULL;
    for (uint32_t slot = slot_of(load, number); load->slots[slot]; slot = (slot + 1) & (load->n_slots - 1)) {
        struct bench_stream *stream = &load->streams[load->slots[slot] - 1];
        if (stream->number == number)
            return stream;
    }
    return NULL;
}

/* At most half of the slots are taken, so that a search ends soon. */
static int index_streams(struct bench_load *load)
{
    load->n_slots = 2;
    while (load->n_slots < 2 * load->n_streams)
        load->n_slots *= 2;
    load->slots = calloc(load->n_slots, sizeof(*load->slots));
    if (!load->slots)
        return -1;
    for (uint32_t i = 0; i < load->n_streams; i++) {
        uint32_t slot = slot_of(load, load->streams[i].number);
        while (load->slots[slot])
            slot = (slot + 1) & (load->n_slots - 1);
        load->slots[slot] = i + 1;
    }
    return 0;
}

/* The loop with the clock, the tick and the wish to end. */
static int open_loop(struct bench_load *load, struct problem *problem)
{
    int status = uv_loop_init(&load->loop);
    if (status < 0)
        return problem_set(problem, "no event loop: %s", uv_strerror(status));
    load->has_loop = true;
    uv_timer_init(&load->loop, &load->tick);
    load->tick.data = load;
    uv_timer_start(&load->tick, on_tick, TICK_MS, TICK_MS);
    if (bench_clock_open(&load->clock, &load->loop, bench_pace_wake, load) < 0)
        return problem_set(problem, "no timer can be made");
    load->heeds_interrupt = interrupt_descriptor() >= 0 &&
                            uv_poll_init(&load->loop, &load->interrupt, interrupt_descriptor()) == 0 &&
                            uv_poll_start(&load->interrupt, UV_READABLE, on_interrupt) == 0;
    return 0;
}

static int open_links(struct bench_load *load, struct problem *problem)
{
    struct problem why;
    for (uint32_t i = 0; i < load->n_links; i++) {
        struct bench_link *link = &load->links[i];
        *link = (struct bench_link){.fd = -1, .events = &events, .owner = load, .index = i};
    }
    for (uint32_t i = 0; i < load->n_links; i++) {
        if (bench_link_connect(&load->links[i], &load->loop, load->plan->socket, &why) < 0)
            return problem_set(problem, "connection %u of %u: %s", i + 1, load->n_links, why.text);
        load->n_live++;
    }
    if (bench_talk_ask(load, BENCH_HELLO, PATIENCE_S, problem) < 0)
        return -1;
    for (uint32_t i = 0; i < load->n_links; i++)
        if (load->links[i].ended)
            return problem_set(problem, "connection %u of %u: %s", i + 1, load->n_links, load->links[i].why.text);
    return 0;
}

/* Whether the run can do without the streams that were refused. */
static bool is_excusable(const struct bench_load *load)
{
    return load->plan->admit && load->refusal == ATTNP_OVER_CAPACITY;
}

/* Opens all streams, and keeps those that were opened. */
static int open_streams(struct bench_load *load, struct problem *problem)
{
    uint32_t n = 0, asked = load->n_streams;
    for (uint32_t i = 0; i < asked; i++)
        load->streams[i].link = i % load->n_links;
    if (bench_talk_ask(load, BENCH_OPEN, PATIENCE_S, problem) < 0)
        return -1;
    if (load->n_live < load->n_links)
        return problem_set(problem, "%s", load->result->problem.text);
    for (uint32_t i = 0; i < asked; i++)
        if (load->streams[i].open)
            load->streams[n++] = load->streams[i];
    load->n_streams = n;
    if (n < asked && !is_excusable(load))
        return problem_set(problem, "%u of %u streams were refused: %s", asked - n, asked, load->result->problem.text);
    if (n == 0)
        return problem_set(problem, "no stream was admitted: %s", load->result->problem.text);
    if (index_streams(load) < 0 || bench_frames_init(&load->frames, load->plan->seed, load->input_dim) < 0)
        return problem_set(problem, "no memory for the streams");
    return 0;
}

int bench_load_open(struct bench_load *load, const struct bench_plan *plan, struct bench_result *result,
                    struct problem *problem)
{
    *load = (struct bench_load){.plan = plan, .result = result, .clock = {.fd = -1}};
    *result = (struct bench_result){0};
    load->n_links = plan->connections;
    load->n_streams = plan->streams;
    load->links = calloc(load->n_links, sizeof(*load->links));
    load->n_asked = calloc(load->n_links, sizeof(*load->n_asked));
    load->streams = calloc(load->n_streams, sizeof(*load->streams));
    if (!load->links || !load->n_asked || !load->streams) {
        load->n_links = 0;
        return problem_set(problem, "no memory for %u streams", load->n_streams);
    }
    if (open_loop(load, problem) < 0) {
        load->n_links = 0;
        return -1;
    }
    return open_links(load, problem) < 0 || open_streams(load, problem) < 0 ? -1 : 0;
}

static void on_walk(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_loop(struct bench_load *load)
{
    if (!load->has_loop)
        return;
    for (uint32_t i = 0; i < load->n_links; i++)
        bench_link_close(&load->links[i]);
    bench_clock_close(&load->clock);
    uv_walk(&load->loop, on_walk, NULL);
    uv_run(&load->loop, UV_RUN_DEFAULT);
    uv_loop_close(&load->loop);
}

void bench_load_close(struct bench_load *load)
{
    struct problem problem;
    load->heeds_interrupt = false;
    load->result = NULL;
    if (load->n_live > 0)
        bench_talk_ask(load, BENCH_CLOSE, PATIENCE_S, &problem);
    close_loop(load);
    for (uint32_t i = 0; i < load->n_links; i++)
        bench_link_done(&load->links[i]);
    bench_frames_done(&load->frames);
    free(load->slots);
    free(load->streams);
    free(load->n_asked);
    free(load->links);
}
