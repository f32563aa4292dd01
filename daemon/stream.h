/* SPDX-License-Identifier: MIT */
/* One stream: its state, the frames that wait and the newest answers, all in one aligned block that is made at open;
 * nothing is allocated afterwards but for pending requests (reset, finish, attach). The module knows no socket, no
 * message and no other stream. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/connection.h"
#include "daemon/ledger.h"
#include "daemon/model.h"
#include "daemon/registry.h"
#include "daemon/stream_parts.h"
#include "daemon/traffic.h"
#include "protocol/push.h"
#include "protocol/sequence.h"

enum answer_kind {
    ANSWER_OUTPUT,
    ANSWER_BAD_FRAME,
    ANSWER_DROPPED, /* the frame was not applied */
    ANSWER_SKIPPED  /* it was, but its output was not computed, or is not finite */
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

struct stream {
    struct card card;
    struct attnp_sequence sequence;
    struct model *model;     /* which it uses */
    const struct plan *plan; /* the model's */
    struct traffic *traffic; /* what the model's frames on this shard are counted in */
    enum attnp_output_kind kind;
    size_t frame_bytes, output_bytes;
    uint64_t first_position;   /* that the state began with, at open or reset */
    void *block, *state;       /* the block: state, own scratch, frames, outputs, waiting, answers */
    void *scratch;             /* its own, where its plan takes much; else NULL */
    uint8_t *frames, *outputs; /* rings of credit slots: (number - frames_from) % credit, number % credit */
    uint64_t frames_from;      /* the first frame that came when no other waited */
    size_t frame_stride, output_stride;
    struct waiting *waiting;
    struct answer *answers;
    struct stream_open open;
    struct claim claim; /* of its shard's time; ledger.c */
    struct held held;   /* by which connection; connection.h */
    struct stream_batch batch;
    struct stream_deadline deadline;
    struct stream_answers unanswered;
    struct stream_idle idle;
    struct stream_pending pending;
    struct stream_due due;
    struct stream_attach attach;
    struct stream_lend lend;
    struct stream_ready ready;
};

/* Reasons of answers that are none. */
extern const char stream_late[], stream_replay[], stream_not_finite[];

/* What a stream is to be. */
struct stream_shape {
    struct model *model;
    enum attnp_output_kind kind;
    uint32_t credit;      /* at least 1 */
    uint64_t first_frame; /* its number */
    uint64_t position;    /* of the first frame */
};

/* The stream whose card, or hold, this is. */
static inline struct stream *stream_of_card(struct card *card)
{
    return (struct stream *)(void *)((char *)card - offsetof(struct stream, card));
}

static inline struct stream *stream_of_held(struct held *held)
{
    return (struct stream *)(void *)((char *)held - offsetof(struct stream, held));
}

/* Size of the block for this plan, output and credit; 0 where it does not fit a size_t. */
size_t stream_block_bytes(const struct plan *plan, enum attnp_output_kind kind, uint32_t credit);

/* A stream without its block: what is needed to register it. It uses the model until it is freed. NULL: no memory.
 * Owner: the caller. */
struct stream *stream_new(const struct stream_shape *shape);

/* Makes the block, with an empty state. 0, or -1: no memory. */
int stream_start(struct stream *stream);

/* The stream and its frames are counted in this traffic from here on; NULL: in none. */
void stream_count_in(struct stream *stream, struct traffic *traffic);

/* Takes the block [*n_bytes] away from a stream that is to be freed, its contents overwritten in builds that look for
 * mistakes. NULL: it has none. Owner: the caller; freed by free. */
void *stream_take_block(struct stream *stream, size_t *n_bytes);

/* Frees all; NULL is allowed. No request may be pending any more, and the stream stands in no list. */
void stream_free(struct stream *stream);

/* The verdict on the next frame (unaligned, frame_bytes) of a push that began; a frame that is taken waits from here
 * on.
 */
enum attnp_verdict stream_take(struct stream *stream, uint64_t number, const uint8_t *frame, uint64_t arrived_us,
                               struct attnp_time time);

/* Frames that wait. */
uint32_t stream_waiting(const struct stream *stream);

/* Computes and settles the oldest waiting frame of each of n different streams of one plan, at most PLAN_MOST_AT_ONCE.
 * answers[i] is streams[i]'s, valid until `credit` frames later. `scratch`: the plan's scratch_bytes, for streams that
 * have none of their own. Requires that in each one waits. */
void stream_step(struct stream *const *streams, size_t n, struct answer **answers, void *scratch);

/* stream_step of one stream in two steps, between which any thread may push the frame (plan_push): what is to be
 * pushed, at this position; and then its answer. Meanwhile no frame of the stream is settled. Kept answers may be
 * repeated, and that of the oldest has its output where the new one is to be: who has them repeated meanwhile replaces
 * `output` by a place of its own [output_stride], from which stream_end_step copies it. */
struct plan_frame stream_begin_step(const struct stream *stream, uint64_t *position);
struct answer *stream_end_step(struct stream *stream, const struct plan_frame *frame, uint64_t position);

/* Settles the oldest waiting frame, of which one is required, without applying it. */
struct answer *stream_drop(struct stream *stream, const char *reason);

/* How long the answer's frame waited for it; also told where the answer is repeated. */
void stream_note_lag(struct answer *answer, uint64_t lag_us);

/* The kept answer of a number for which the sequence said ATTNP_ANSWER_AGAIN, and an answer's output [output_bytes]. */
struct answer *stream_answer(struct stream *stream, uint64_t number);
const uint8_t *stream_output(const struct stream *stream, const struct answer *answer);

/* When the oldest waiting frame arrived; of the second, 0 where none waits. */
uint64_t stream_arrived_us(const struct stream *stream);
uint64_t stream_oldest_us(const struct stream *stream);

/* The state was emptied by plan_reset; numbers go on. */
void stream_was_reset(struct stream *stream);

/* A new holder begins with the next frame, whatever the one before was told to send again. */
void stream_begin_anew(struct stream *stream);
