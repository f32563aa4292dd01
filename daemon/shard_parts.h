/* SPDX-License-Identifier: MIT */
/* What modules above the shard keep in each shard. Each struct belongs to the module that its comment names: no other
 * module writes its fields. The header knows none of these modules. The shard's thread, unless a field says otherwise.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "daemon/mailbox.h"
#include "daemon/workers.h"

struct connection;
struct connection_handler;
struct share;
struct stream;

TAILQ_HEAD(connections, connection);
LIST_HEAD(connection_bucket, connection);
TAILQ_HEAD(streams, stream);

/* Connections are looked up by their id. Ids rise, so that the lowest bits spread them evenly. */
#define SHARD_BUCKETS 1024

#define SHARD_INPUT_BYTES (64 * 1024)

/* connection.c: the connections of this shard. */
struct shard_connections {
    const struct connection_handler *handler; /* what connections call upwards */
    struct connections all;
    struct connections dirty; /* with something to send */
    size_t n_paused;          /* with something to be read or handled, when their users have time again */
    uint64_t n_places;        /* that were given to these so far */
    struct connection_bucket by_id[SHARD_BUCKETS];
    uint64_t n_turns; /* of the loop, so far */
    uint8_t *input;   /* [SHARD_INPUT_BYTES], where bytes arrive */
};

/* share.c: what each user has of the shard's time for what clients send. */
struct shard_shares {
    LIST_HEAD(shares, share) all;
    struct share *parked; /* of streams that nobody holds, where there is no memory for their users'; not in the list */
};

TAILQ_HEAD(ready_shares, share);

/* batch.c: the users with streams that have a frame to compute. */
struct shard_batch {
    struct ready_shares users;      /* in no order */
    size_t n_ready;                 /* streams */
    uint64_t clock_ns;              /* what the user that was served last had had computed then */
    atomic_uint_fast64_t oldest_us; /* when the oldest frame of the next stream arrived; 0: none; read by any thread */
};

/* due.c: the streams whose next pending request is due. */
struct shard_due {
    struct streams streams;
};

/* idle.c: the streams by how long nothing was done with them, the longest first. */
struct shard_idle {
    struct streams active, warned, parked;
};

/* loop.c: the thread and the order of its turn. */
struct shard_loop {
    uv_thread_t thread;
    uv_thread_t self;      /* the same, written by the thread itself before anything else; for shard_is_own_thread */
    uv_check_t after_poll; /* runs the batch and what is due, and sends, after each poll */
    uv_timer_t tick;       /* looks for silent and for slow clients */
    struct mails mails;    /* taken from the mailbox and not yet opened, in order */
    bool is_draining;
    uint64_t drain_until_us;
    atomic_bool drain_asked;                   /* by the main thread */
    atomic_bool is_running;                    /* until the thread has ended; read by the main thread */
    atomic_uint_fast64_t pulses_asked, pulses; /* watchdog: the main thread raises the first, the shard's the second */
};

/* away.c: work on other threads. */
struct shard_away {
    uv_poll_t done_poll;
    int fd;           /* an eventfd: by how much more was done */
    struct jobs done; /* put there by other threads */
    uint64_t n_out;   /* that the shard was not told of yet */
    bool is_closing;
};

/* accept.c: connections that the shard was given within the last while. The main thread's. */
struct shard_accept {
    uint64_t since_us, n;
};
