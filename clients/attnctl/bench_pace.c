/* SPDX-License-Identifier: MIT */
/*
 * Streams share one period and their phases divide it evenly, so the schedule needs no queue: event e is frame e / S of
 * stream e mod S, at start + e · step. What is due at a wake leaves with one write a connection.
 *
 * Latency counts from the scheduled time, whatever kept a frame from leaving then: a wake that came late, a full
 * connection, used-up credit. So a daemon that stalls is seen in every frame that had to wait for it, and not only in
 * the one that was under way (no coordinated omission).
 */
#include "config.h"

#include "attnctl/bench_pace.h"

#include <math.h>
#include <string.h>

#include "attnctl/interrupt.h"
#include "protocol/push.h"

#define GATHER_NS   200000 /* wakes are at least so far apart: waking an idle processor costs more than ten frames */
#define ENVELOPE    64     /* a push is at most so much longer than its frame */
#define MOST_UNSENT (256 * 1024) /* bytes that wait on a connection before its frames wait in their streams */
#define GRACE_S     10.0         /* after the last frame's time, beside as long as the run itself, for the answers */

static uint64_t scheduled_ns(const struct bench_load *load, const struct bench_stream *stream, uint64_t frame)
{
    uint64_t event = (frame - stream->pace.first) * load->n_streams + (uint64_t)(stream - load->streams);
    return load->pace.start_ns + (uint64_t)((double)event * load->pace.step_ns);
}

static bool push_next(struct bench_load *load, struct bench_stream *stream)
{
    struct bench_link *link = &load->links[stream->link];
    struct attnp_push push = {
        .stream = stream->talk.number,
        .first = stream->pace.next,
        .frames = bench_frames_at(&load->pace.frames, (uint64_t)(stream - load->streams), stream->pace.next),
        .n_bytes = load->pace.frames.frame_bytes,
    };
    uint8_t *room = bench_link_room(link, push.n_bytes + ENVELOPE, MOST_UNSENT);
    if (!room)
        return false;
    bench_link_added(link, attnp_push_write(room, &push));
    if (load->pace.closed_loop)
        stream->pace.sent_ns = bench_now_ns();
    stream->pace.next++;
    return true;
}

void bench_pace_refill(struct bench_load *load, struct bench_stream *stream)
{
    while (stream->pace.open && !load->pace.draining && stream->pace.next < stream->pace.due &&
           stream->pace.next - stream->pace.settled < stream->talk.credit)
        if (!push_next(load, stream))
            break;
}

static void make_due(struct bench_load *load, struct bench_stream *stream)
{
    if (!stream->pace.open)
        return;
    stream->pace.due++;
    load->pace.n_waiting++;
    bench_pace_refill(load, stream);
}

static void flush_all(struct bench_load *load)
{
    for (uint32_t i = 0; i < load->n_links; i++)
        if (load->links[i].out_end > 0 && !load->links[i].blocked)
            bench_link_flush(&load->links[i]);
}

/* The clock's wake: everything whose time has come is sent. `ctx`: the load. */
static void on_time(void *ctx)
{
    struct bench_load *load = ctx;
    uint64_t now_ns = bench_now_ns(), next_ns = 0;
    for (; load->pace.event < load->pace.n_events; load->pace.event++) {
        next_ns = load->pace.start_ns + (uint64_t)((double)load->pace.event * load->pace.step_ns);
        if (next_ns > now_ns)
            break;
        make_due(load, &load->streams[load->pace.event % load->n_streams]);
    }
    flush_all(load);
    if (load->pace.event < load->pace.n_events)
        bench_clock_wake_at(&load->pace.clock, next_ns > now_ns + GATHER_NS ? next_ns : now_ns + GATHER_NS);
    else
        bench_clock_stop(&load->pace.clock);
}

int bench_pace_init(struct bench_load *load, struct problem *problem)
{
    if (bench_frames_init(&load->pace.frames, load->plan->seed, load->talk.input_dim) < 0)
        return problem_set(problem, "no memory for the frames");
    if (bench_clock_open(&load->pace.clock, &load->loop, on_time, load) < 0)
        return problem_set(problem, "no timer can be made");
    return 0;
}

void bench_pace_done(struct bench_load *load)
{
    bench_clock_close(&load->pace.clock);
    bench_frames_done(&load->pace.frames);
}

void bench_pace_open_stream(struct bench_stream *stream, uint64_t next)
{
    stream->pace.next = stream->pace.settled = stream->pace.due = next;
    stream->pace.open = true;
}

void bench_pace_end_stream(struct bench_load *load, struct bench_stream *stream, const char *why)
{
    if (!stream->pace.open)
        return;
    stream->pace.open = false;
    load->pace.n_waiting -= stream->pace.due - stream->pace.settled;
    if (load->pace.draining)
        stream->pace.next = stream->pace.settled;
    if (load->result)
        load->result->broken = true;
    problem_set(bench_load_reason(load), "the daemon ended a stream: %s", why);
}

static void count_latency(struct bench_load *load, uint64_t latency_ns)
{
    struct bench_result *result = load->result;
    uint64_t latency_us = latency_ns / 1000;
    result->latency[attnp_histogram_bucket(latency_us)]++;
    result->max_us = latency_us > result->max_us ? latency_us : result->max_us;
    if (load->samples)
        bench_samples_add(load->samples, latency_ns);
    result->n_over += load->plan->limit_us > 0 && latency_us > load->plan->limit_us;
}

/* Frames settle in the order of their numbers; what is left out stays unanswered, and is lost. */
static bool settle(struct bench_load *load, struct bench_stream *stream, uint64_t first, uint64_t count)
{
    if (first < stream->pace.settled || first >= stream->pace.next || count > stream->pace.next - first)
        return false;
    load->pace.n_waiting -= first + count - stream->pace.settled;
    stream->pace.settled = first + count;
    return true;
}

static void go_on(struct bench_load *load, struct bench_stream *stream, uint64_t now_ns)
{
    if (!load->pace.closed_loop)
        bench_pace_refill(load, stream);
    else if (load->pace.running && !load->pace.draining && stream->pace.settled == stream->pace.due &&
             now_ns < load->pace.start_ns + (uint64_t)(load->plan->seconds * 1e9))
        make_due(load, stream);
}

bool bench_pace_take(struct bench_load *load, struct bench_link *link, const uint8_t *body, size_t n_body,
                     uint64_t now_ns)
{
    struct attnp_output output;
    struct attnp_error error;
    if (attnp_output_read(&output, body, n_body, &error) < 0)
        return problem_set(&link->why, "the daemon sent an output that cannot be read: %s", error.text) == 0;
    struct bench_stream *stream = bench_load_find(load, output.stream);
    if (!stream || !stream->pace.open || !load->result)
        return true;
    uint64_t count = output.n_bytes / stream->talk.output_bytes;
    if (count == 0 || output.n_bytes % stream->talk.output_bytes != 0 || !settle(load, stream, output.first, count))
        return problem_set(&link->why, "the daemon sent %zu bytes of output from frame %ju on, where %ju to %ju wait",
                           output.n_bytes, (uintmax_t)output.first, (uintmax_t)stream->pace.settled,
                           (uintmax_t)stream->pace.next) == 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t from_ns = load->pace.closed_loop ? stream->pace.sent_ns : scheduled_ns(load, stream, output.first + i);
        count_latency(load, now_ns - from_ns);
        stream->pace.sum = bench_frames_sum(stream->pace.sum, output.first + i,
                                            output.outputs + i * stream->talk.output_bytes, stream->talk.output_bytes);
    }
    load->result->answered += count;
    load->result->lag[attnp_histogram_bucket(output.lag_us)] += count;
    load->pace.end_ns = now_ns;
    go_on(load, stream, now_ns);
    return true;
}

bool bench_pace_drop(struct bench_load *load, struct bench_stream *stream, uint64_t first, uint64_t count)
{
    if (!load->result)
        return true;
    if (count == 0 || !settle(load, stream, first, count))
        return false;
    load->result->dropped += count;
    go_on(load, stream, bench_now_ns());
    return true;
}

void bench_pace_rewind(struct bench_load *load, struct bench_stream *stream, uint64_t expected)
{
    if (expected < stream->pace.settled || expected >= stream->pace.next)
        return;
    stream->pace.next = expected;
    bench_pace_refill(load, stream);
}

void bench_pace_drain(struct bench_load *load)
{
    load->pace.draining = true;
    load->pace.event = load->pace.n_events;
}

bool bench_pace_is_over(const struct bench_load *load)
{
    return load->plan->limit_us > 0 && (double)load->result->n_over > 0.01 * (double)load->pace.n_events;
}

static bool is_left(const struct bench_load *load)
{
    return (load->pace.event < load->pace.n_events || load->pace.n_waiting > 0) && !bench_pace_is_over(load);
}

/* What never had credit has waited from its time until now, and counts with that: else the worst would be left out. */
static void give_up_unsent(struct bench_load *load)
{
    uint64_t now_ns = bench_now_ns();
    load->pace.event = load->pace.n_events;
    bench_clock_stop(&load->pace.clock);
    for (struct bench_stream *stream = load->streams; stream < load->streams + load->n_streams; stream++) {
        if (!stream->pace.open)
            continue;
        for (uint64_t frame = stream->pace.next; frame < stream->pace.due && !load->pace.closed_loop; frame++)
            count_latency(load, now_ns - scheduled_ns(load, stream, frame));
        load->result->unsent += stream->pace.due - stream->pace.next;
        load->pace.n_waiting -= stream->pace.due - stream->pace.next;
        stream->pace.due = stream->pace.next;
    }
}

static void start(struct bench_load *load)
{
    double seconds = load->plan->seconds, rate = load->plan->rate;
    load->pace.closed_loop = rate == 0;
    load->pace.n_waiting = 0;
    load->pace.event = 0;
    for (uint32_t i = 0; i < load->n_streams; i++) {
        struct bench_stream *stream = &load->streams[i];
        stream->pace.first = stream->pace.due = stream->pace.settled = stream->pace.next;
    }
    load->pace.start_ns = load->pace.end_ns = bench_now_ns();
    load->pace.running = true;
    if (load->pace.closed_loop) {
        load->pace.n_events = 0;
        for (uint32_t i = 0; i < load->n_streams; i++)
            make_due(load, &load->streams[i]);
        flush_all(load);
        return;
    }
    load->pace.n_events = (uint64_t)fmax(1, round(rate * seconds)) * load->n_streams;
    load->pace.step_ns = 1e9 / rate / load->n_streams;
    bench_clock_wake_at(&load->pace.clock, load->pace.start_ns);
}

void bench_pace_run(struct bench_load *load)
{
    start(load);
    uint64_t until_ns = load->pace.start_ns + (uint64_t)((2 * load->plan->seconds + GRACE_S) * 1e9);
    bench_load_wait(load, is_left, until_ns, true);
    load->pace.running = false;
    give_up_unsent(load);
}

void bench_pace_conclude(struct bench_load *load)
{
    struct bench_result *result = load->result;
    for (uint32_t i = 0; i < load->n_streams; i++) {
        const struct bench_stream *stream = &load->streams[i];
        result->sent += stream->pace.next - stream->pace.first;
        result->checksum += bench_frames_part(i, stream->pace.sum);
    }
    result->over = bench_pace_is_over(load);
    result->lost = result->over ? 0 : result->sent - result->answered - result->dropped;
    result->interrupted = interrupted();
    double seconds = (double)(load->pace.end_ns - load->pace.start_ns) / 1e9;
    bool whole = !load->pace.closed_loop && !result->interrupted && !result->over && !result->broken;
    result->seconds = whole && seconds < load->plan->seconds ? load->plan->seconds : seconds;
}
