/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_load.h"

#include <stdlib.h>

#include "attnctl/interrupt.h"

#define TICK_MS 200

int bench_load_init(struct bench_load *load, const struct bench_plan *plan, const struct bench_link_events *events)
{
    *load = (struct bench_load){.plan = plan};
    load->links = calloc(plan->connections, sizeof(*load->links));
    load->streams = calloc(plan->streams, sizeof(*load->streams));
    if (!load->links || !load->streams)
        return -1;
    load->n_links = plan->connections;
    load->n_streams = plan->streams;
    for (uint32_t i = 0; i < load->n_links; i++)
        bench_link_init(&load->links[i], events, load, i);
    for (uint32_t i = 0; i < load->n_streams; i++)
        load->streams[i].link = i % load->n_links;
    return 0;
}

/* The tick also ends a wait of the loop, so that bench_load_wait looks at the time. */
static void on_tick(uv_timer_t *timer)
{
    const struct bench_load *load = timer->data;
    if (load->pace.running && load->plan->tick)
        load->plan->tick(load->result, (double)(bench_now_ns() - load->pace.start_ns) / 1e9);
}

static void on_interrupt(uv_poll_t *poll, int status, int happened)
{
    (void)status;
    (void)happened;
    uv_poll_stop(poll);
}

/* The loop with the tick and a watch for interruptions. Without that watch, the next tick ends the wait. */
static int open_loop(struct bench_load *load, struct problem *problem)
{
    int status = uv_loop_init(&load->loop);
    if (status < 0)
        return problem_set(problem, "no event loop: %s", uv_strerror(status));
    load->has_loop = true;
    uv_timer_init(&load->loop, &load->tick);
    load->tick.data = load;
    uv_timer_start(&load->tick, on_tick, TICK_MS, TICK_MS);
    if (interrupt_descriptor() >= 0 && uv_poll_init(&load->loop, &load->interrupt, interrupt_descriptor()) == 0)
        uv_poll_start(&load->interrupt, UV_READABLE, on_interrupt);
    return 0;
}

int bench_load_connect(struct bench_load *load, struct problem *problem)
{
    struct problem why;
    if (open_loop(load, problem) < 0)
        return -1;
    for (uint32_t i = 0; i < load->n_links; i++) {
        if (bench_link_connect(&load->links[i], &load->loop, load->plan->socket, &why) < 0)
            return problem_set(problem, "connection %u of %u: %s", i + 1, load->n_links, why.text);
        load->n_live++;
    }
    return 0;
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
    uv_walk(&load->loop, on_walk, NULL);
    uv_run(&load->loop, UV_RUN_DEFAULT);
    uv_loop_close(&load->loop);
}

void bench_load_done(struct bench_load *load)
{
    close_loop(load);
    for (uint32_t i = 0; i < load->n_links; i++)
        bench_link_done(&load->links[i]);
    free(load->slots);
    free(load->streams);
    free(load->links);
}

void bench_load_count(struct bench_load *load, struct bench_result *result, struct bench_samples *samples)
{
    load->result = result;
    load->samples = samples;
}

struct problem *bench_load_reason(const struct bench_load *load)
{
    return load->result && !load->result->problem.text[0] ? &load->result->problem : NULL;
}

void bench_load_lose_link(struct bench_load *load)
{
    load->n_live--;
}

static uint32_t slot_of(const struct bench_load *load, uint64_t number)
{
    return (uint32_t)((number * 0x9e3779b97f4a7c15u) >> 32) & (load->n_slots - 1);
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
        uint32_t slot = slot_of(load, load->streams[i].talk.number);
        while (load->slots[slot])
            slot = (slot + 1) & (load->n_slots - 1);
        load->slots[slot] = i + 1;
    }
    return 0;
}

int bench_load_keep_open(struct bench_load *load)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < load->n_streams; i++)
        if (load->streams[i].pace.open)
            load->streams[n++] = load->streams[i];
    load->n_streams = n;
    return index_streams(load);
}

struct bench_stream *bench_load_find(const struct bench_load *load, uint64_t number)
{
    if (!load->slots)
        return NULL;
    for (uint32_t slot = slot_of(load, number); load->slots[slot]; slot = (slot + 1) & (load->n_slots - 1)) {
        struct bench_stream *stream = &load->streams[load->slots[slot] - 1];
        if (stream->talk.number == number)
            return stream;
    }
    return NULL;
}

bool bench_load_wait(struct bench_load *load, bool (*is_left)(const struct bench_load *load), uint64_t until_ns,
                     bool heeds_interrupt)
{
    while (is_left(load) && load->n_live > 0 && bench_now_ns() < until_ns && !(heeds_interrupt && interrupted()))
        uv_run(&load->loop, UV_RUN_ONCE);
    return !is_left(load);
}
