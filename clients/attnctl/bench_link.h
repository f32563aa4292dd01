/* SPDX-License-Identifier: MIT */
/* One connection of a bench on its loop: whole messages in, bytes gathered and written at once out. It knows no method
 * and no stream. The loop's thread alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "attnctl/problem.h"

struct bench_link;

/* What a link tells its owner. `now_ns`: when the bytes were read. The link may not be closed within these calls. */
struct bench_link_events {
    /* One whole message body, which lives until the call returns. False ends the link; then link->why was set. */
    bool (*message)(struct bench_link *link, const uint8_t *body, size_t n_body, uint64_t now_ns);
    void (*drained)(struct bench_link *link); /* all bytes were written, and there had been no room for more */
    void (*ended)(struct bench_link *link);   /* the other side ended it, or it failed; link->why tells */
};

struct bench_link {
    const struct bench_link_events *events;
    void *owner;
    uint32_t index; /* the owner's */
    uv_poll_t poll;
    int fd;             /* −1: none */
    bool polled;        /* the handle is the loop's */
    bool ended;         /* nothing comes or goes any more */
    bool blocked;       /* the kernel had no room for all of `out` */
    bool starved;       /* somebody was told that there is no room in `out` */
    size_t max_message; /* longest body taken, bytes */
    uint8_t *in;        /* [in_capacity], [in_begin, in_end) is not taken yet */
    size_t in_begin, in_end, in_capacity;
    uint8_t *out; /* [out_capacity], [out_begin, out_end) is not written yet */
    size_t out_begin, out_end, out_capacity;
    struct problem why; /* the first reason of its end; "" while it goes on */
};

/* A link without a socket. */
void bench_link_init(struct bench_link *link, const struct bench_link_events *events, void *owner, uint32_t index);

/* Connects to a Unix socket; waits up to 5 s for it. 0, or −1 and a problem; bench_link_close is due in either case. */
int bench_link_connect(struct bench_link *link, uv_loop_t *loop, const char *path, struct problem *problem);

/* The same with a socket that is connected, which the link then owns. */
int bench_link_adopt(struct bench_link *link, uv_loop_t *loop, int fd, struct problem *problem);

/* Bodies of up to so many bytes are taken from here on. */
void bench_link_allow(struct bench_link *link, size_t max_message);

/* Room for n bytes behind what waits to be written; bench_link_added then says how many there are. NULL where more than
 * `most` bytes would wait, or without memory, or where the link has ended. */
uint8_t *bench_link_room(struct bench_link *link, size_t n, size_t most);
void bench_link_added(struct bench_link *link, size_t n);

/* Writes what waits, as far as the kernel takes it. */
void bench_link_flush(struct bench_link *link);

/* Ends the link without telling its owner. The memory is the link's until the loop has run once more; then
 * bench_link_done frees it. */
void bench_link_close(struct bench_link *link);
void bench_link_done(struct bench_link *link);
