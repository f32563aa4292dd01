/* SPDX-License-Identifier: MIT */
/* Requests that wait in a stream behind the frames accepted before them: each takes effect at its place in the stream's
 * sequence. The queue knows no kind of request; a pending request holds the functions that carry it out. The thread of
 * the stream's shard. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/shard.h"
#include "daemon/stream.h"

/* Requests that may wait in one stream at the same time. */
#define PENDING_MOST 64

enum pending_outcome {
    PENDING_DONE, /* or another thread goes on with it, which has the stream's state (lend.h) until then */
    PENDING_MOVED /* the stream is no longer of this shard */
};

/* What a kind of request does. */
struct pending_kind {
    /* Every frame before the request is settled: it takes effect, and the asker is answered, now or later. */
    enum pending_outcome (*carry_out)(struct shard *shard, struct stream *stream, const struct asker *asker);
    /* The stream ends before that. NULL: the asker is told by other means. */
    void (*refuse)(struct shard *shard, const struct asker *asker, const struct attnp_error *error);
};

struct pending {
    STAILQ_ENTRY(pending) link;
    const struct pending_kind *kind;
    uint64_t at; /* due when every number below is settled */
    struct asker asker;
};

/* The empty queue of a stream. */
void pending_init(struct stream *stream);

/* Queues a request behind the frames accepted so far, or carries it out at once where none waits. The asker is told
 * where there is no room for it. An attach may have moved the stream to another shard when this returns. */
void pending_add(struct shard *shard, struct stream *stream, const struct pending_kind *kind,
                 const struct asker *asker);

/* The same in two steps, for a caller that changes the stream in between, and only where there is room. The first
 * returns NULL where there is none, and the asker was told why. The second takes the request over, and may have moved
 * the stream to another shard when it returns. */
struct pending *pending_new(struct shard *shard, const struct stream *stream, const struct pending_kind *kind,
                            const struct asker *asker);
void pending_queue(struct shard *shard, struct stream *stream, struct pending *pending);

/* Carries out what is due in the streams of the shard that are listed in due.h, after a batch, as far as there is time
 * for it in one turn; the streams that are left stay listed. */
void pending_run_due(struct shard *shard);

/* The stream ends: the askers are told this error. */
void pending_refuse_all(struct shard *shard, struct stream *stream, const struct attnp_error *error);

/* The daemon ends: frees the requests that wait; nobody is told. */
void pending_forget_all(struct shard *shard, struct stream *stream);
