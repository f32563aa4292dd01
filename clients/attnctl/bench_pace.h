/* SPDX-License-Identifier: MIT */
/* The hot path of a bench: frames leave when their time has come, and outputs settle them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attnctl/bench_load.h"

/* Runs the plan once on an open load, and fills in its result (all but refused, which stays). Frame numbers go on from
 * run to run. Ends early where it is interrupted, where all streams have ended, or at the plan's limit. */
void bench_pace_run(struct bench_load *load, struct bench_result *result);

/* The clock's wake: sends everything whose time has come. `ctx`: the load. */
void bench_pace_wake(void *ctx);

/* Takes an output. False, with link->why set, where it breaks the protocol. */
bool bench_pace_take(struct bench_load *load, struct bench_link *link, const uint8_t *body, size_t n_body,
                     uint64_t now_ns);

/* The daemon has named frames that have no output. False: it had settled them before, or they were never sent. */
bool bench_pace_drop(struct bench_load *load, struct bench_stream *stream, uint64_t first, uint64_t count);

/* Frames from this number on count as never sent, and are sent again. */
void bench_pace_rewind(struct bench_load *load, struct bench_stream *stream, uint64_t expected);

/* What waits for credit or for room on the connection is sent, as far as there is some now. */
void bench_pace_refill(struct bench_load *load, struct bench_stream *stream);
