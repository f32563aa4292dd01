/* SPDX-License-Identifier: MIT */
/* Streams under load: connections on one loop, and the streams that were opened through them. All parts of a bench
 * share these lists; a load itself knows no message. One thread.
 *
 * Above the load, bench_pace sends frames in time, and bench_talk asks and listens. bench_driver, on top, runs a plan.
 * Each of bench_pace and bench_talk has a struct of its own in the load and in a stream, which no other part writes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "attnctl/bench_clock.h"
#include "attnctl/bench_frames.h"
#include "attnctl/bench_link.h"
#include "attnctl/bench_plan.h"
#include "attnctl/bench_result.h"
#include "attnctl/bench_samples.h"
#include "protocol/errors.h"

/* What the daemon said of a stream when it was opened. */
struct bench_stream_talk {
    uint64_t number; /* the daemon's */
    uint32_t credit, output_bytes;
};

struct bench_stream_pace {
    bool open;
    uint64_t first;   /* number of the first frame of this run */
    uint64_t due;     /* frames below this number have had their time */
    uint64_t next;    /* frames below this number were sent; due − next wait for credit */
    uint64_t settled; /* frames below this number were answered or named */
    uint64_t sent_ns; /* closed loop: when the newest frame was sent */
    uint64_t sum;     /* checksum of the outputs */
};

struct bench_stream {
    uint32_t link; /* index of its connection */
    struct bench_stream_talk talk;
    struct bench_stream_pace pace;
};

enum bench_question { BENCH_HELLO, BENCH_OPEN, BENCH_FINISH, BENCH_CLOSE };

struct bench_talk {
    enum bench_question asking; /* the one kind of request that is under way */
    uint32_t *n_asked;          /* [n_links] requests without an answer */
    uint32_t n_asked_all;
    uint32_t input_dim;      /* floats of a frame; 0: not known yet */
    enum attnp_code refusal; /* of the first stream that was refused; 0: none was */
};

struct bench_pace {
    struct bench_clock clock;
    struct bench_frames frames;
    bool running;
    bool draining; /* the daemon stops: it settles what it has read, and what it has not was never sent */
    bool closed_loop;
    uint64_t start_ns, end_ns; /* of the schedule; of the last output */
    double step_ns;            /* from one frame to the next, of all streams */
    uint64_t event, n_events;  /* frames by time: the next one, and all; event e is of stream e modulo n_streams */
    uint64_t n_waiting;        /* frames that are due and not settled, of open streams */
};

struct bench_load {
    const struct bench_plan *plan;
    uv_loop_t loop;
    bool has_loop;
    uv_timer_t tick;
    uv_poll_t interrupt;
    struct bench_link *links;     /* [n_links] */
    uint32_t n_links, n_live;     /* n_live: of those, not ended */
    struct bench_stream *streams; /* [n_streams]; stream s uses link s modulo n_links */
    uint32_t n_streams;
    uint32_t *slots; /* [n_slots] index + 1 of a stream by a hash of its number; 0: empty */
    uint32_t n_slots;
    struct bench_result *result;   /* where everything is counted; NULL: nowhere */
    struct bench_samples *samples; /* where every latency is kept as well; NULL: nowhere */
    struct bench_talk talk;
    struct bench_pace pace;
};

/* Memory for the plan's connections and streams; a link tells `events`, and its owner is the load. 0, or −1: no memory.
 * bench_load_done is due in either case. */
int bench_load_init(struct bench_load *load, const struct bench_plan *plan, const struct bench_link_events *events);

/* Starts the loop and connects all links. 0, or −1 and a problem. */
int bench_load_connect(struct bench_load *load, struct problem *problem);

/* Closes all links, lets the loop run until no handle is left, and frees everything. */
void bench_load_done(struct bench_load *load);

/* From here on all is counted in `result` (NULL: nowhere), and latencies are kept in `samples` (NULL: nowhere). */
void bench_load_count(struct bench_load *load, struct bench_result *result, struct bench_samples *samples);

/* Where the first reason of a failure goes; NULL where there is one already, or nothing is counted. */
struct problem *bench_load_reason(const struct bench_load *load);

/* Counts a link that has ended. */
void bench_load_lose_link(struct bench_load *load);

/* Leaves out the streams that were not opened, and makes the others known by their numbers. 0, or −1: no memory. */
int bench_load_keep_open(struct bench_load *load);

/* The stream of the daemon's number; NULL where none is known. */
struct bench_stream *bench_load_find(const struct bench_load *load, uint64_t number);

/* Lets the loop run until this time, or until no link is live, or until nothing is `left`; and, where it
 * `heeds_interrupt`, until an interruption. True where nothing is left. */
bool bench_load_wait(struct bench_load *load, bool (*is_left)(const struct bench_load *load), uint64_t until_ns,
                     bool heeds_interrupt);
