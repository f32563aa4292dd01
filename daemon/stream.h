/* SPDX-License-Identifier: MIT */
/* One stream: its state, the frames that wait and the newest answers, all in one aligned block that is made at open;
 * nothing is allocated afterwards but for orders (reset, finish). It knows no socket, no message and no other stream.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/model.h"
#include "daemon/registry.h"
#include "protocol/push.h"
#include "protocol/sequence.h"

/* Orders that may wait in one stream at the same time. */
#define STREAM_MOST_ORDERS 64

enum answer_kind { ANSWER_OUTPUT, ANSWER_BAD_FRAME };

/* What settled a frame; kept for the newest `credit` frames, so that a repeat has the same answer. */
struct answer {
    enum answer_kind kind;
    bool warming;
    uint32_t bad_index; /* the first float that is no finite number */
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
struct order {
    STAILQ_ENTRY(order) link;
    enum { ORDER_RESET, ORDER_FINISH } kind;
    uint64_t at; /* due when every number below is settled */
    struct asker asker;
};

struct connection;

struct stream {
    struct card card;
    struct attnp_sequence sequence;
    struct model *model;     /* which it uses */
    const struct plan *plan; /* the model's */
    enum attnp_output_kind kind;
    size_t frame_bytes, output_bytes;
    uint8_t token[ATTNP_TOKEN_BYTES];
    struct connection *holder;
    TAILQ_ENTRY(stream) ready; /* in the shard's queue of streams that have a frame to compute */
    bool is_ready;
    uint64_t turn;    /* the shard's number of the batch that computed its newest frame */
    uint64_t step_ns; /* what that frame took; 0 before the first */
    STAILQ_HEAD(orders, order) orders;
    size_t n_orders;
    void *block, *state;       /* the block: state, own scratch, frames, outputs, waiting, answers */
    void *scratch;             /* its own, where its plan takes much; else NULL */
    uint8_t *frames, *outputs; /* rings of credit slots: number % credit */
    size_t frame_stride, output_stride;
    struct waiting *waiting;
    struct answer *answers;
};

/* Size of the block for this plan, output and credit; 0 where it does not fit a size_t. */
size_t stream_block_bytes(const struct plan *plan, enum attnp_output_kind kind, uint32_t credit);

/* A stream without its block: what is needed to register it. It uses the model until it is freed. NULL: no memory. */
struct stream *stream_new(struct model *model, enum attnp_output_kind kind, uint32_t credit);

/* Makes the block, empty. 0, or -1: no memory. */
int stream_start(struct stream *stream);

/* Frees all; NULL is allowed. No order may wait any more. */
void stream_free(struct stream *stream);

/* Puts a frame (unaligned, frame_bytes) that the sequence took in its place. */
void stream_put(struct stream *stream, uint64_t number, const uint8_t *frame, uint64_t arrived_us,
                struct attnp_time time);

/* Computes and settles the oldest waiting frame of each of n different streams of one plan, at most PLAN_MOST_AT_ONCE.
 * answers[i] is streams[i]'s, valid until `credit` frames later; its lag_us is to be filled in by the caller.
 * `scratch`: the plan's scratch_bytes, for streams that have none of their own. Requires that in each one waits. */
void stream_step(struct stream *const *streams, size_t n, struct answer **answers, void *scratch);

/* The kept answer of a number for which the sequence said ATTNP_ANSWER_AGAIN, and an answer's output [output_bytes]. */
struct answer *stream_answer(struct stream *stream, uint64_t number);
const uint8_t *stream_output(const struct stream *stream, const struct answer *answer);

/* When the oldest waiting frame arrived. */
uint64_t stream_arrived_us(const struct stream *stream);

/* Empties the state; numbers go on. */
void stream_reset(struct stream *stream);
