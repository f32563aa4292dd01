/* SPDX-License-Identifier: MIT */
/* New connections: accepted here, told the reason where there is no room, and handed to the shard with most room. Main
 * thread. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "daemon/listener.h"
#include "daemon/shard.h"

struct accept {
    struct shared *shared;
    const struct listener *listener;
    uv_poll_t poll;
    uv_timer_t again;         /* where accepting was left alone for a moment */
    int reserve_fd;           /* given up for a moment to answer a client where descriptors are short; -1: none */
    uint64_t last_connection; /* id */
    bool is_short;            /* nothing could be accepted at the last attempt, for want of descriptors or memory */
    bool is_stopped;
    struct log_quota log_quota; /* of lines about clients that are turned away */
};

/* Accepts from here on, in this loop; the shards run, and the listener is open. 0, or -1 (logged). */
int accept_start(struct accept *accept, uv_loop_t *loop, struct shared *shared, const struct listener *listener);

/* Accepts no more. Clients that wait to be accepted are told that the daemon stops, unless the next daemon takes them
 * from the same socket. */
void accept_stop(struct accept *accept, bool is_told);

/* The timer's look: tells how many lines of the log were left out. */
void accept_look(struct accept *accept);

/* Once the loop is closed. */
void accept_done(struct accept *accept);
