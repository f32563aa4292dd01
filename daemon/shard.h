/* SPDX-License-Identifier: MIT */
/* A shard: one thread with its loop, its connections and their streams. Shards share nothing but `struct shared`.
 * Functions and fields belong to the shard's thread unless they say otherwise. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/costs.h"
#include "daemon/counters.h"
#include "daemon/ledger.h"
#include "daemon/log.h"
#include "daemon/mailbox.h"
#include "daemon/models.h"
#include "daemon/registry.h"
#include "daemon/stream.h"
#include "daemon/users.h"
#include "protocol/writer.h"

#define SHARD_INPUT_BYTES (64 * 1024)

struct shard;

/* Read-only while shards run, but for the registry, the users, the models and the costs (locked) and the atomics. */
struct shared {
    const struct config *config;
    struct models *models;
    struct costs *costs;
    struct users *users;
    struct registry *registry;
    struct traffic_book *traffic;
    struct shard *shards;
    unsigned n_shards;
    uid_t uid; /* of the daemon: its user and root are operators */
    uint64_t started_us;
    atomic_uint_fast64_t n_turned_away; /* clients told server_full; by the main thread */
    uv_async_t *shard_ended;            /* of the main loop */
};

/* Where connections are looked up by their id: rising numbers, so that the lowest bits spread them evenly. */
#define SHARD_BUCKETS 1024

TAILQ_HEAD(connections, connection);
LIST_HEAD(connection_bucket, connection);
TAILQ_HEAD(ready_streams, stream);
TAILQ_HEAD(streams_at_rest, stream);

struct connection_handler;

struct shard {
    struct shared *shared;
    const struct connection_handler *handler;
    unsigned index;
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_check_t after_poll; /* runs the batch and sends, after each poll */
    uv_idle_t busy;        /* active while there is something to do, so that the poll does not block */
    uv_timer_t tick;       /* looks for silent and for slow clients */
    struct mailbox mailbox;
    struct connections connections;
    struct connection_bucket by_id[SHARD_BUCKETS];
    struct connections dirty;   /* those with something to send */
    struct connections paused;  /* those with more requests, after the others' turn */
    uint64_t n_turns;           /* of the loop, so far */
    struct ready_streams ready; /* those with a frame to compute, oldest first */
    size_t n_ready;
    struct streams_at_rest active, warned, parked; /* daemon/idle.h */
    struct attnp_writer writer;                    /* of every message but output */
    uint8_t *input;                                /* [SHARD_INPUT_BYTES], where bytes arrive */
    void *scratch;                                 /* of the largest plan so far, aligned */
    size_t scratch_bytes;
    struct counters counters;
    struct ledger ledger; /* what its streams claim of its time */
    struct {
        uint64_t tick_us, cpu_ns, frames, computing_ns, opened; /* as of the last tick */
        uint64_t unrated_ns;                                    /* since then, of streams without a rate */
    } use;
    struct log_quota log_quota; /* of lines about clients */
    bool draining;
    uint64_t drain_until_us;
    struct {
        uint64_t since_us, n;
    } recent;                        /* connections given to it within the last while; the main thread's */
    atomic_uint_fast64_t n_assigned; /* connections given to it and not yet closed, those still in the mail included */
    atomic_uint_fast64_t utilisation_permille; /* busy time of the last second, measured at each tick */
    atomic_bool drain_asked, is_running;       /* main thread asks; the shard tells that its thread has ended */
    atomic_uint_fast64_t pulses_asked, pulses; /* watchdog: main raises the first, the shard makes the second equal */
};

/* Starts the thread. 0, or -1 (logged). Main thread. */
int shard_start(struct shard *shard, struct shared *shared, unsigned index);

/* Has the shard settle what it accepted and end. Main thread. */
void shard_drain(struct shard *shard);

/* Waits for the end of the thread. Main thread, after shard_drain. */
void shard_join(struct shard *shard);

/* Frees everything, what other shards posted at the end included: once all of them are joined. Main thread. */
void shard_done(struct shard *shard);

/* Posts a mail and wakes the shard. Any thread, while the shard runs. */
void shard_post(struct shard *shard, struct mail *mail);

/* A connection of this user that was assigned to it is no more. */
void shard_connection_gone(struct shard *shard, uid_t uid);

/* Makes the scratch memory at least so large. 0, or -1: no memory. */
int shard_reserve_scratch(struct shard *shard, size_t n_bytes);

/* Lets the next poll return at once where frames or paused connections wait, and block where none does. */
void shard_stay_busy(struct shard *shard);

static inline uint64_t shard_now_us(void)
{
    return uv_hrtime() / 1000;
}
