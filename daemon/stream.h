/* SPDX-License-Identifier: MIT */
/* One stream: its state, the frames that wait and the newest answers, all in one aligned block that is made at open;
 * nothing is allocated afterwards but for orders (reset, finish, attach). It knows no socket, no message and no other
 * stream.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/admission.h"
#include "daemon/model.h"
#include "daemon/registry.h"
#include "daemon/traffic.h"
#include "protocol/push.h"
#include "protocol/sequence.h"

/* Orders that may wait in one stream at the same time. */
#define STREAM_MOST_ORDERS 64

enum answer_kind {
    ANSWER_OUTPUT,
    ANSWER_BAD_FRAME,
    ANSWER_DROPPED, /* the frame was not applied */
    ANSWER_SKIPPED  /* it was, but its output was not computed */
};

/* What settled a frame; kept for the newest `credit` frames, so that a repeat has the same answer. */
struct answer {
    enum answer_kind kind;
    bool warming;
    uint32_t bad_index; /* the first float that is no finite number */
    const char *reason; /* DROPPED, SKIPPED: a word of attnd-protocol(7) */
    uint64_t number, position, lag_us;
    struct attnp_time time;
};

struct waiting {
    uint64_t arrived_us;
    struct attnp_time time;
};

/* Who asked, and where the response goes, wherever he is by then. */
struct asker {
    unsigned shard;
    uint64_t connection;
    uint32_t id;
};

/* A request that takes its turn behind the frames accepted before it. */
enum order_kind { ORDER_RESET, ORDER_FINISH, ORDER_ATTACH };

struct order {
    STAILQ_ENTRY(order) link;
    enum order_kind kind;
    uint64_t at; /* due when every number below is settled */
    struct asker asker;
};

/* Frames in a row that were dropped or skipped and are not named to the holder yet. */
struct unnamed {
    enum answer_kind kind;
    const char *reason;
    uint64_t first;
    uint32_t count;
};

/* Which of its shard's lists of streams at rest (daemon/idle.h) it stands in. */
enum resting { RESTING_NOWHERE, RESTING_ACTIVE, RESTING_WARNED, RESTING_PARKED };

struct connection;

struct stream {
    struct card card;
    struct attnp_sequence sequence;
    struct model *model;     /* which it uses */
    const struct plan *plan; /* the model's */
    struct traffic *traffic; /* what the model's frames on this shard are counted in */
    enum attnp_output_kind kind;
    size_t frame_bytes, output_bytes;
    uint8_t token[ATTNP_TOKEN_BYTES];
    struct connection *holder; /* NULL: nobody; what it answers is kept */
    bool has_heir;             /* somebody is to hold it once nothing waits: whoever asked last */
    struct asker heir;
    enum resting resting;
    TAILQ_ENTRY(stream) rest;
    uint64_t active_us;      /* when its holder last did something with it, or it was parked */
    uint64_t answer_from;    /* frames below this number are a replay: applied, not answered */
    uint64_t first_position; /* that the state began with, at open or reset */
    uint64_t deadline_us;    /* from a frame's arrival to its answer; 0: none */
    enum attnp_late late;
    const char *skip; /* why the answer to the oldest waiting frame is not computed; NULL: it is */
    struct unnamed unnamed;
    struct claim claim;        /* of its shard's time */
    TAILQ_ENTRY(stream) ready; /* in the shard's queue of streams that have a frame to compute */
    bool is_ready;
    uint64_t step_ns; /* what its newest frame took; 0 before the first */
    struct computed {
        struct answer *answer;
        uint64_t arrived_us;
    } computed; /* in the batch that is computed and not yet answered */
    TAILQ_ENTRY(stream) in_batch;
    STAILQ_HEAD(orders, order) orders;
    size_t n_orders;
    void *block, *state;       /* the block: state, own scratch, frames, outputs, waiting, answers */
    void *scratch;             /* its own, where its plan takes much; else NULL */
    uint8_t *frames, *outputs; /* rings of credit slots: (number - frames_from) % credit, number % credit */
    uint64_t frames_from;      /* the first frame that came when no other waited */
    size_t frame_stride, output_stride;
    struct waiting *waiting;
    struct answer *answers;
};

/* Reasons of answers that are none. */
extern const char stream_late[], stream_replay[];

/* The stream whose card this is. */
static inline struct stream *stream_of_card(struct card *card)
{
    return (struct stream *)(void *)((char *)card - offsetof(struct stream, card));
}

/* Size of the block for this plan, output and credit; 0 where it does not fit a size_t. */
size_t stream_block_bytes(const struct plan *plan, enum attnp_output_kind kind, uint32_t credit);

/* A stream without its block: what is needed to register it. It uses the model until it is freed. NULL: no memory. */
struct stream *stream_new(struct model *model, enum attnp_output_kind kind, uint32_t credit);

/* Makes the block, empty, for a first frame of this position. 0, or -1: no memory. */
int stream_start(struct stream *stream, uint64_t position);

/* Frees all; NULL is allowed. No order may wait any more. */
void stream_free(struct stream *stream);

/* Puts a frame (unaligned, frame_bytes) that the sequence took in its place. */
void stream_put(struct stream *stream, uint64_t number, const uint8_t *frame, uint64_t arrived_us,
                struct attnp_time time);

/* Computes and settles the oldest waiting frame of each of n different streams of one plan, at most PLAN_MOST_AT_ONCE.
 * answers[i] is streams[i]'s, valid until `credit` frames later; its lag_us is to be filled in by the caller.
 * `scratch`: the plan's scratch_bytes, for streams that have none of their own. Requires that in each one waits. */
void stream_step(struct stream *const *streams, size_t n, struct answer **answers, void *scratch);

/* Settles the oldest waiting frame, of which one is required, without applying it. */
struct answer *stream_drop(struct stream *stream, const char *reason);

/* The kept answer of a number for which the sequence said ATTNP_ANSWER_AGAIN, and an answer's output [output_bytes]. */
struct answer *stream_answer(struct stream *stream, uint64_t number);
const uint8_t *stream_output(const struct stream *stream, const struct answer *answer);

/* When the oldest waiting frame arrived; of the second, 0 where none waits. */
uint64_t stream_arrived_us(const struct stream *stream);
uint64_t stream_oldest_us(const struct stream *stream);

/* Empties the state; numbers go on. */
void stream_reset(struct stream *stream);
