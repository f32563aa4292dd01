/* SPDX-License-Identifier: MIT */
/* The hot path of a bench: frames leave when their time has come, and outputs settle them. It knows no request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attnctl/bench_load.h"

/* Makes the frames and the timer, once the streams are open. 0, or −1 and a problem. */
int bench_pace_init(struct bench_load *load, struct problem *problem);

/* Gives the timer back to the loop, which has to run once more, and frees the frames. */
void bench_pace_done(struct bench_load *load);

/* The daemon has opened a stream: its next frame has this number. */
void bench_pace_open_stream(struct bench_stream *stream, uint64_t next);

/* The daemon has ended a stream: nothing is sent on it any more. */
void bench_pace_end_stream(struct bench_load *load, struct bench_stream *stream, const char *why);

/* Runs the plan once on an open load, until all is answered that can be, and counts in load->result. */
void bench_pace_run(struct bench_load *load);

/* Whether more frames of the run were late than may be. */
bool bench_pace_is_over(const struct bench_load *load);

/* Adds to load->result what is known only when no more answers come. */
void bench_pace_conclude(struct bench_load *load);

/* Takes an output. False, with link->why set, where it breaks the protocol. */
bool bench_pace_take(struct bench_load *load, struct bench_link *link, const uint8_t *body, size_t n_body,
                     uint64_t now_ns);

/* The daemon has named frames that have no output. False: it had settled them before, or they were never sent. */
bool bench_pace_drop(struct bench_load *load, struct bench_stream *stream, uint64_t first, uint64_t count);

/* Frames from this number on count as never sent, and are sent again. */
void bench_pace_rewind(struct bench_load *load, struct bench_stream *stream, uint64_t expected);

/* The daemon stops: nothing more is sent on any stream. */
void bench_pace_drain(struct bench_load *load);

/* What waits for credit or for room on the connection is sent, as far as there is some now. */
void bench_pace_refill(struct bench_load *load, struct bench_stream *stream);
