/* SPDX-License-Identifier: MIT */
/* A stream's state that another thread works on for a while: one that is emptied, or that takes a frame that is dear.
 * Meanwhile the shard's thread computes no frame of the stream and carries out no request that is due in it, and the
 * stream may end all the same: its block stays until the other thread is done. The module does not know what the work
 * is. The shard's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/away.h"
#include "daemon/stream.h"

struct loan {
    struct away away;
    const struct loan_kind *kind;
    struct shard *shard;
    struct stream *stream; /* NULL: it ended meanwhile, and left its block */
    struct model *model;   /* used */
    void *block;
    size_t block_bytes;
    uid_t uid; /* who is charged for the block */
};

/* What is done with the state. */
struct loan_kind {
    void (*use)(struct loan *loan); /* on the other thread, which has nothing of the stream but its block */
    /* Back on the shard's thread, the state is the stream's again; or the stream has ended, and is NULL. Frees the
     * loan. */
    void (*returned)(struct loan *loan, struct stream *stream);
    /* The stream ends now, with this error for a client that waits for the work. NULL: none does. */
    void (*lost)(struct loan *loan, const struct attnp_error *error);
};

/* Has the work done. The state is not lent yet, and the loan is on memory that stays until it comes back. `share` as in
 * away_send. */
void lend_state(struct loan *loan, struct shard *shard, struct share *share, struct stream *stream,
                const struct loan_kind *kind);

/* Another thread has the state. */
static inline bool lend_is_out(const struct stream *stream)
{
    return stream->lend.loan != NULL;
}

/* The stream ends; nothing happens to one whose state is not lent. While its user still has it registered. */
void lend_abandon(struct stream *stream, const struct attnp_error *error);
