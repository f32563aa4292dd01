/* SPDX-License-Identifier: MIT */
/* Streams under load: connections on one loop, and the streams that were opened through them. bench_talk asks and
 * listens, bench_pace sends frames in time. One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "attnc/client.h"
#include "attnctl/bench_clock.h"
#include "attnctl/bench_frames.h"
#include "attnctl/bench_link.h"
#include "attnctl/bench_result.h"
#include "attnctl/bench_samples.h"
#include "protocol/errors.h"

/* What is to be run; the pointers live as long as the load. */
struct bench_plan {
    const char *socket;
    uint32_t streams, connections;
    double rate;       /* frames a second of each stream; 0: the closed loop, one frame at a time */
    double seconds;    /* of a run */
    uint64_t limit_us; /* a run ends early once more than 1 % of its frames cannot be within it; 0: none */
    uint64_t seed;
    bool admit;           /* the rate goes into `open`, and a stream for which there is no room is left out */
    uint32_t deadline_ms; /* 0: none */
    const char *late;     /* NULL: the daemon's default */
    const char *model;    /* either this or an attention */
    const struct attnc_attention *attention;
    void (*tick)(const struct bench_result *result, double seconds); /* called now and then during a run; or NULL */
};

struct bench_stream {
    uint64_t number; /* the daemon's */
    uint32_t link, credit, output_bytes;
    bool open, refused;
    uint64_t first;   /* number of the first frame of this run */
    uint64_t due;     /* frames below this number have had their time */
    uint64_t next;    /* frames below this number were sent; due − next wait for credit */
    uint64_t settled; /* frames below this number were answered or named */
    uint64_t sent_ns; /* closed loop: when the newest frame was sent */
    uint64_t sum;     /* checksum of the outputs */
};

enum bench_question { BENCH_HELLO, BENCH_OPEN, BENCH_FINISH, BENCH_CLOSE };

struct bench_load {
    const struct bench_plan *plan;
    uv_loop_t loop;
    bool has_loop;
    struct bench_link *links;     /* [n_links] */
    uint32_t n_links, n_live;     /* n_live: of those, not ended */
    struct bench_stream *streams; /* [n_streams]; stream s uses link s modulo n_links */
    uint32_t n_streams;
    uint32_t *slots; /* [n_slots] index + 1 of a stream by a hash of its number; 0: empty */
    uint32_t n_slots;
    uint32_t input_dim; /* floats of a frame */
    struct bench_frames frames;

    enum bench_question asking; /* the one kind of request that is under way */
    uint32_t *n_asked;          /* [n_links] requests without an answer */
    uint32_t n_asked_all;
    enum attnp_code refusal; /* of the first stream that was refused; 0: none was */

    struct bench_clock clock;
    uv_timer_t tick;
    uv_poll_t interrupt;
    bool heeds_interrupt;
    struct bench_result *result;   /* of the run that is under way; NULL while the load is closed */
    struct bench_samples *samples; /* every latency of the run as well; NULL: not kept */
    bool running;
    bool draining; /* the daemon stops: it settles what it has read, and what it has not was never sent */
    bool closed_loop;
    uint64_t start_ns, end_ns; /* of the schedule; of the last output */
    uint64_t heard_ns;         /* when the newest message came */
    double step_ns;            /* from one frame to the next, of all streams */
    uint64_t event, n_events;  /* frames by time: the next one, and all; event e is of stream e modulo n_streams */
    uint64_t n_waiting;        /* frames that are due and not settled, of open streams */
};

/* Connects and opens the streams. 0, with the number of streams refused and why the first was in `result`; or −1 and a
 * problem. bench_load_close is due in either case. */
int bench_load_open(struct bench_load *load, const struct bench_plan *plan, struct bench_result *result,
                    struct problem *problem);

/* Closes the streams and connections and frees everything. */
void bench_load_close(struct bench_load *load);

/* The stream of the daemon's number; NULL where none is open. */
struct bench_stream *bench_load_find(const struct bench_load *load, uint64_t number);

/* The daemon has ended a stream: nothing is sent on it any more. */
void bench_load_end_stream(struct bench_load *load, struct bench_stream *stream, const char *why);

/* Lets the loop run until this time, or an interruption, or until nothing is `left`. True where nothing is. */
bool bench_load_wait(struct bench_load *load, bool (*is_left)(const struct bench_load *load), uint64_t until_ns);
