/* SPDX-License-Identifier: MIT */
/* Streams of one plan that are fed in turn, or all in one batch. */
#pragma once

#include <stddef.h>

#include "attn/attn.h"
#include "random.h"

struct bench_streams {
    const struct attn_plan *plan;
    struct bench_frames frames;
    size_t n_streams, state_bytes;
    size_t pushed;            /* frames since the streams are warm */
    char *states;             /* [n_streams][state_bytes] */
    float *output;            /* [n_streams][…] */
    struct attn_frame *batch; /* [n_streams] */
    void *scratch;
};

/* Makes streams with full windows; the plan has to stay. Their positions are spread evenly over a window, so that what
 * falls due once in a segment does so for about as many of them at each moment. Returns 0, or −1 without memory; done
 * takes both. */
int bench_streams_init(struct bench_streams *streams, const struct attn_plan *plan, size_t n_streams);
void bench_streams_done(struct bench_streams *streams);

/* One frame for the next stream. `self` is struct bench_streams. */
void bench_streams_push(void *self);

/* One frame for each stream in one call of attn_push_batch. */
void bench_streams_push_batch(void *self);

/* How many frames stream i of n_streams has had when it is warm. */
size_t bench_streams_warming(size_t warming_frames, size_t window, size_t i, size_t n_streams);
