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
#include <sys/resource.h>

#include "attnctl/bench_talk.h"
#include "attnctl/interrupt.h"
#include "protocol/push.h"

#define GATHER_NS   200000 /* wakes are at least so far apart: waking an idle processor costs more than ten frames */
#define ENVELOPE    64     /* a push is at most so much longer than its frame */
#define MOST_UNSENT (256 * 1024) /* bytes that wait on a connection before its frames wait in their streams */
#define GRACE_S     10.0         /* after the last frame's time, beside as long as the run itself, for the answers */

static uint64_t scheduled_ns(const struct bench_load *load, const struct bench_stream *stream, uint64_t frame)
{
    uint64_t event = (frame - stream->first) * load->n_streams + (uint64_t)(stream - load->streams);
    return load->start_ns + (uint64_t)((double)event * load->step_ns);
}

static bool push_next(struct bench_load *load, struct bench_stream *stream)
{
    struct bench_link *link = &load->links[stream->link];
    struct attnp_push push = {
        .stream = stream->number,
        .first = stream->next,
        .frames = bench_frames_at(&load->frames, (uint64_t)(stream - load->streams), stream->next),
        .n_bytes = load->frames.frame_bytes,
    };
    uint8_t *room = bench_link_room(link, push.n_bytes + ENVELOPE, MOST_UNSENT);
    if (!room)
        return false;
    bench_link_added(link, attnp_push_write(room, &push));
    if (load->closed_loop)
        stream->sent_ns = bench_now_ns();
    stream->next++;
    return true;
}

void bench_pace_refill(struct bench_load *load, struct bench_stream *stream)
{
    while (stream->open && !load->draining && stream->next < stream->due &&
           stream->next - stream->settled < stream->credit)
        if (!push_next(load, stream))
            break;
}

static void make_due(struct bench_load *load, struct bench_stream *stream)
{
    if (!stream->open)
        return;
    stream->due++;
    load->n_waiting++;
    bench_pace_refill(load, stream);
}

static void flush_all(struct bench_load *load)
{
    for (uint32_t i = 0; i < load->n_links; i++)
        if (load->links[i].out_end > 0 && !load->links[i].blocked)
            bench_link_flush(&load->links[i]);
}

void bench_pace_wake(void *ctx)
{
    struct bench_load *load = ctx;
    uint64_t now_ns = bench_now_ns(), next_ns = 0;
    for (; load->event < load->n_events; load->event++) {
        next_ns = load->start_ns + (uint64_t)((double)load->event * load->step_ns);
        if (next_ns > now_ns)
            break;
        make_due(load, &load->streams[load->event % load->n_streams]);
    }
    flush_all(load);
    if (load->event < load->n_events)
        bench_clock_wake_at(&load->clock, next_ns > now_ns + GATHER_NS ? next_ns : now_ns + GATHER_NS);
    else
        bench_clock_stop(&load->clock);
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
    if (first < stream->settled || first >= stream->next || count > stream->next - first)
        return false;
    load->n_waiting -= first + count - stream->settled;
    stream->settled = first + count;
    return true;
}

static void go_on(struct bench_load *load, struct bench_stream *stream, uint64_t now_ns)
{
    if (!load->closed_loop)
        bench_pace_refill(load, stream);
    else if (load->running && !load->draining && stream->settled == stream->due &&
             now_ns < load->start_ns + (uint64_t)(load->plan->seconds * 1e9))
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
    if (!stream || !stream->open || !load->result)
        return true;
    uint64_t count = output.n_bytes / stream->output_bytes;
    if (count == 0 || output.n_bytes % stream->output_bytes != 0 || !settle(load, stream, output.first, count))
        return problem_set(&link->why, "the daemon sent %zu bytes of output from frame %ju on, where %ju to %ju wait",
                           output.n_bytes, (uintmax_t)output.first, (uintmax_t)stream->settled,
                           (uintmax_t)stream->next) == 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t from_ns = load->closed_loop ? stream->sent_ns : scheduled_ns(load, stream, output.first + i);
        count_latency(load, now_ns - from_ns);
        stream->sum = bench_frames_sum(stream->sum, output.first + i, output.outputs + i * stream->output_bytes,
                                       stream->output_bytes);
    }
    load->result->answered += count;
    load->result->lag[attnp_histogram_bucket(output.lag_us)] += count;
    load->end_ns = now_ns;
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
    if (expected < stream->settled || expected >= stream->next)
        return;
    stream->next = expected;
    bench_pace_refill(load, stream);
}

/* More frames are too late than the share that may be. */
static bool is_over(const struct bench_load *load)
{
    return load->plan->limit_us > 0 && (double)load->result->n_over > 0.01 * (double)load->n_events;
}

static bool is_left(const struct bench_load *load)
{
    return (load->event < load->n_events || load->n_waiting > 0) && !is_over(load);
}

/* What never had credit has waited from its time until now, and counts with that: else the worst would be left out. */
static void give_up_unsent(struct bench_load *load)
{
    uint64_t now_ns = bench_now_ns();
    load->event = load->n_events;
    bench_clock_stop(&load->clock);
    for (struct bench_stream *stream = load->streams; stream < load->streams + load->n_streams; stream++) {
        if (!stream->open)
            continue;
        for (uint64_t frame = stream->next; frame < stream->due && !load->closed_loop; frame++)
            count_latency(load, now_ns - scheduled_ns(load, stream, frame));
        load->result->unsent += stream->due - stream->next;
        load->n_waiting -= stream->due - stream->next;
        stream->due = stream->next;
    }
}

static void start(struct bench_load *load)
{
    double seconds = load->plan->seconds, rate = load->plan->rate;
    load->closed_loop = rate == 0;
    load->n_waiting = 0;
    load->event = 0;
    for (uint32_t i = 0; i < load->n_streams; i++) {
        struct bench_stream *stream = &load->streams[i];
        stream->first = stream->due = stream->settled = stream->next;
    }
    load->start_ns = load->end_ns = bench_now_ns();
    load->running = true;
    if (load->closed_loop) {
        load->n_events = 0;
        for (uint32_t i = 0; i < load->n_streams; i++)
            make_due(load, &load->streams[i]);
        flush_all(load);
        return;
    }
    load->n_events = (uint64_t)fmax(1, round(rate * seconds)) * load->n_streams;
    load->step_ns = 1e9 / rate / load->n_streams;
    bench_clock_wake_at(&load->clock, load->start_ns);
}

static void conclude(const struct bench_load *load, struct bench_result *result)
{
    for (uint32_t i = 0; i < load->n_streams; i++) {
        const struct bench_stream *stream = &load->streams[i];
        result->sent += stream->next - stream->first;
        result->checksum += bench_frames_part(i, stream->sum);
    }
    result->over = is_over(load);
    result->lost = result->over ? 0 : result->sent - result->answered - result->dropped;
    result->interrupted = interrupted();
    double seconds = (double)(load->end_ns - load->start_ns) / 1e9;
    bool whole = !load->closed_loop && !result->interrupted && !result->over && !result->broken;
    result->seconds = whole && seconds < load->plan->seconds ? load->plan->seconds : seconds;
}

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void bench_pace_run(struct bench_load *load, struct bench_result *result)
{
    struct problem problem;
    uint32_t refused = result->refused;
    struct problem why = result->problem;
    *result = (struct bench_result){.streams = load->n_streams, .refused = refused, .problem = why};
    load->result = result;
    double cpu_before_us = cpu_us();
    start(load);
    uint64_t until_ns = load->start_ns + (uint64_t)((2 * load->plan->seconds + GRACE_S) * 1e9);
    bench_load_wait(load, is_left, until_ns);
    load->running = false;
    give_up_unsent(load);
    /* `finish` is answered when every frame that was accepted has been: what is unanswered then is lost. */
    bool heeds_interrupt = load->heeds_interrupt;
    load->heeds_interrupt = false;
    if (!is_over(load) && load->n_live > 0)
        bench_talk_ask(load, BENCH_FINISH, GRACE_S, &problem);
    load->heeds_interrupt = heeds_interrupt;
    result->cpu_us = cpu_us() - cpu_before_us;
    conclude(load, result);
}
