/* SPDX-License-Identifier: MIT */
/* What each user has of the time that a shard spends on what clients send: one budget for a turn of the loop, however
 * many connections there are. Whatever is done for a connection is charged to its user; a user that has used up its
 * share waits for the next turn, and one that took more than its share, since a single request took long, waits for as
 * many turns as that was worth. Batches are not charged: they go first.
 *
 * The module knows no connection. The shard's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/shard.h"

STAILQ_HEAD(aways, away);

/* One user on one shard. */
struct share {
    LIST_ENTRY(share) link;
    uid_t uid;
    size_t n_users;            /* connections, and pieces of work that are away */
    struct connections paused; /* connection.c: those with something to be read or handled in a later turn */
    struct aways away;         /* away.c: work on another thread; the first is being done */
    struct share_batch {
        TAILQ_ENTRY(share) link;
        struct streams ready; /* with a frame to compute; the stream that waits longest is the first */
        uint64_t computed_ns; /* what its frames took; at least the clock's when it became ready */
    } batch;                  /* batch.c */
    struct share_dear {
        struct streams ready; /* with a dear frame to compute, in the same order */
        bool is_away;         /* such a frame is being computed */
    } dear;                   /* ready.c */
    int64_t left_ns;          /* of its share of this turn; negative: owed to later turns */
    bool is_active;           /* something was charged in this turn */
};

/* Makes what streams have that nobody holds. 0, or -1: no memory. And frees it. */
int share_start(struct shard *shard);
void share_stop(struct shard *shard);

/* The user's share, which the caller then uses. NULL: no memory. Owner: the shard, until the last user left. */
struct share *share_join(struct shard *shard, uid_t uid);

/* One use more, and one less. */
struct share *share_use(struct share *share);
void share_leave(struct share *share);

/* The shard's users one after the other, each of which the caller uses; NULL: there is none, or no more. */
struct share *share_first(struct shard *shard);
struct share *share_next(struct share *share);

/* Something may be done for the user in this turn. */
static inline bool share_has_time(const struct share *share)
{
    return share->left_ns > 0;
}

/* Something that took so long was done for the user. */
void share_charge(struct share *share, uint64_t took_ns);

/* A turn of the loop begins: all users that have something to do get an equal part. */
void share_begin_turn(struct shard *shard);
