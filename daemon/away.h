/* SPDX-License-Identifier: MIT */
/* Work for a client that takes too long for a shard's thread: it is done on another one (workers.h), and the shard is
 * told when it is done. Of each user of a shard one piece of work is done at a time, so that no user waits behind
 * another's. The module does not know what the work is. The shard's thread. */
#pragma once

#include <sys/queue.h>
#include <uv.h>

#include "daemon/shard.h"
#include "daemon/share.h"
#include "daemon/workers.h"

/* States of more bytes are filled, emptied and given back away; fewer take about a tenth of a millisecond. */
#define AWAY_BYTES (1 << 20)

struct away {
    struct job job;
    STAILQ_ENTRY(away) link;
    struct shard *shard;
    struct share *share;
    const struct away_kind *kind;
    bool is_running; /* on the other thread, or about to be */
};

struct away_kind {
    bool (*is_wanted)(const struct away *away); /* on the shard's thread, when its turn comes; NULL: always */
    void (*run)(struct away *away);             /* where it is wanted: on the other thread, which has nothing of the
                                                   shard's */
    void (*back)(struct away *away); /* on the shard's thread, in any case; may free it, or send it away once more */
};

/* Has the shard told of what is done elsewhere, on memory of zeros. 0, or libuv's error. */
int away_start(struct shard *shard);

/* The loop may end when everything that is away has come back; and when it has ended, frees what away_start made. */
void away_close(struct shard *shard);
void away_stop(struct shard *shard);

/* Has the work done. `away` is on memory that stays until `back` is called, and belongs to this module until then. The
 * user `share` is used until `back` has returned. */
void away_send(struct away *away, struct shard *shard, struct share *share, const struct away_kind *kind);
