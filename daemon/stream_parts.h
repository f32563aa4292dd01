/* SPDX-License-Identifier: MIT */
/* What other modules keep in each stream. Each struct belongs to the module that its comment names: no other module
 * writes its fields. The header knows none of these modules. The thread of the stream's shard. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/asker.h"
#include "daemon/reply.h"
#include "protocol/request.h"

struct answer;
struct loan;
struct pending;
struct stream;

/* open.c: what only its holder knows, and whether it is still being opened: nobody holds it yet, and nothing can be
 * asked of it. */
struct stream_open {
    uint8_t token[ATTNP_TOKEN_BYTES]; /* a client that shows it may attach the stream */
    bool is_opening;
};

/* batch.c: the stream's place among those that have a frame to compute. */
struct stream_batch {
    TAILQ_ENTRY(stream) link; /* in its user's queue, or in the batch that is computed and not yet answered */
    struct share *ready_in;   /* the user in whose queue it stands; NULL: in none */
    uint64_t step_ns;         /* what its newest frame took; 0 before the first */
    struct answer *answer;    /* of the frame in the batch; NULL: none is */
    uint64_t arrived_us;      /* when that frame arrived */
};

/* ready.c: the same of streams with dear frames. */
struct stream_ready {
    TAILQ_ENTRY(stream) link;
    struct share *dear_in;
};

/* deadline.c: which answers nobody needs computed. */
struct stream_deadline {
    uint64_t after_us;    /* from a frame's arrival to its answer; 0: no deadline */
    enum attnp_late late; /* what becomes of frames that miss it */
    uint64_t answer_from; /* frames below this number are a replay: applied, not answered */
    const char *skip;     /* why the answer to the oldest waiting frame is not computed; NULL: it is */
};

/* answers.c: frames in a row that were dropped or skipped and are not named to the holder yet. */
struct stream_answers {
    struct unanswered unnamed;
};

/* idle.c: which of the shard's lists the stream is in, and since when nothing was done with it. */
enum idle_list { IDLE_NOWHERE, IDLE_ACTIVE, IDLE_WARNED, IDLE_PARKED };

struct stream_idle {
    TAILQ_ENTRY(stream) link;
    enum idle_list list;
    uint64_t since_us;
};

/* pending.c: requests that take their turn behind the frames accepted before them. */
struct stream_pending {
    STAILQ_HEAD(pendings, pending) requests;
    size_t n;
    uint64_t due_at; /* where one waits: the first is due when every number below is settled */
};

/* due.c: whether the stream is in the shard's list of those whose first pending request is due. */
struct stream_due {
    TAILQ_ENTRY(stream) link;
    bool is_listed;
};

/* lend.c: what another thread does with the state; NULL: nothing, the state is here. */
struct stream_lend {
    struct loan *loan;
};

/* attach.c: who is to hold the stream once nothing waits in it: the client that asked last. */
struct stream_attach {
    bool has_heir;
    struct asker heir;
};
