/* SPDX-License-Identifier: MIT */
/* A shard: one thread with its loop, its connections and their streams. Shards share nothing but `struct shared`. This
 * file is what other modules use of a shard: its mailbox, its scratch memory, its being busy, its going first. What
 * they keep in a shard is in shard_parts.h; the thread and its turn are in loop.h. The module knows no connection and
 * no stream. Functions and fields belong to the shard's thread unless they say otherwise. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "daemon/admission.h"
#include "daemon/config.h"
#include "daemon/counters.h"
#include "daemon/ledger.h"
#include "daemon/log.h"
#include "daemon/mailbox.h"
#include "daemon/shard_parts.h"
#include "protocol/writer.h"

/* A batch ends after so much time, so that reading and writing are never far away; so much is what a stream may have to
 * wait. */
#define SHARD_BATCH_US 2000

/* Frames that may take longer are computed on another thread (ready.h). */
#define SHARD_DEAR_US (SHARD_BATCH_US / 2)

struct costs;
struct models;
struct registry;
struct shard;
struct traffic_book;
struct users;
struct workers;

/* Read-only while shards run, but for the registry, the users, the models and the costs (locked) and the atomics. */
struct shared {
    const struct config *config;
    struct models *models;
    struct costs *costs;
    struct users *users;
    struct registry *registry;
    struct traffic_book *traffic;
    struct workers *workers;
    struct shard *shards;
    unsigned n_shards;
    uid_t uid; /* of the daemon: its user and root are operators */
    uint64_t started_us;
    atomic_uint_fast64_t n_turned_away; /* clients told server_full; by the main thread */
    uv_async_t *shard_ended;            /* of the main loop */
};

struct shard {
    struct shared *shared;
    unsigned index;
    uv_loop_t loop;
    uv_async_t wake;        /* wakes the loop; loop.c says what happens then */
    uv_idle_t busy;         /* active while there is something to do, so that the poll does not block */
    uv_prepare_t polls;     /* before each poll */
    uv_check_t has_polled;  /* after it */
    atomic_bool is_polling; /* for shard_give_way */
    int poll_fd;            /* readable while the poll has something to return with */
    struct mailbox mailbox;
    void *scratch; /* of the largest plan so far, aligned to PLAN_ALIGN */
    size_t scratch_bytes;
    atomic_uint_fast64_t n_assigned; /* connections given to the shard and not yet closed, those in the mail included */
    struct attnp_writer writer;      /* of every message but output; used between a begin and an end without a return to
                                        the loop */
    struct counters counters;
    struct ledger ledger;       /* what its streams claim of its time */
    struct shard_use use;       /* admission.h */
    struct log_quota log_quota; /* of lines about clients */
    struct shard_connections connections;
    struct shard_shares shares;
    struct shard_batch batch;
    struct shard_due due;
    struct shard_idle idle;
    struct shard_loop turn;
    struct shard_away away;
    struct shard_accept accept;
};

/* Makes the loop, the mailbox and the empty counters, on memory of zeros; on_wake is called in the shard's thread after
 * a post. 0, or libuv's error; then shard_done is not to be called. Main thread, before the shard's thread starts. */
int shard_init(struct shard *shard, struct shared *shared, unsigned index, uv_async_cb on_wake);

/* Closes the handles of this module; the loop ends once others have closed theirs. */
void shard_close_handles(struct shard *shard);

/* Frees what shard_init made; the mailbox has to be empty, and the loop closed. NULL is no shard. Main thread. */
void shard_done(struct shard *shard);

/* Posts a mail and wakes the shard. Any thread, while the shard runs. */
void shard_post(struct shard *shard, struct mail *mail);

/* A response to an asker of the shard is lost for want of memory: the asker is told that instead. Any thread. */
void shard_lose(struct shard *shard, const struct asker *asker);

/* A connection was assigned to the shard; one of this user that was assigned to the shard is no more. Any thread. */
void shard_connection_given(struct shard *shard);
void shard_connection_gone(struct shard *shard, uid_t uid);

/* Makes the scratch memory at least so large. 0, or -1: no memory. */
int shard_reserve_scratch(struct shard *shard, size_t n_bytes);

/* Lets the next poll return at once where frames, requests, paused connections or mails wait, and block where none
 * does. */
void shard_stay_busy(struct shard *shard);

/* Lets another thread have the caller's processor where a shard waits for one: it has something to do, and does not run
 * yet. The kernel would look at that once a tick, up to 4 ms later, whatever the priorities are. Any thread but a
 * shard's, in a signal handler too. True: it was let. */
bool shard_give_way(const struct shared *shared);

/* For asserts: the caller is the shard's thread, or there is none yet or any more. */
bool shard_is_own_thread(const struct shard *shard);

static inline uint64_t shard_now_us(void)
{
    return uv_hrtime() / 1000;
}
