/* SPDX-License-Identifier: MIT */
/* The order of a stream's frames (attnd-protocol(7), "Order"): which number is taken, answered again, ignored or
 * refused. A pure state machine: it holds numbers only, neither frames nor answers, and knows no socket. Frames settle
 * in order of number. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/errors.h"

struct attnp_sequence {
    uint64_t first;             /* the stream's first number */
    uint64_t settled;           /* numbers below are settled */
    uint64_t next;              /* `expected`: the number to be taken next; next − settled frames wait */
    uint32_t credit;
    bool ignoring;              /* after a gap, an excess or a bad bin, until a push begins with `next` */
};

enum attnp_verdict {
    ATTNP_TAKE,                 /* the next number: it now waits (next has advanced) */
    ATTNP_ANSWER_AGAIN,         /* settled, and among the newest `credit` answers */
    ATTNP_WAITS,                /* taken and not yet settled: its answer is to come */
    ATTNP_REFUSE_OLD,           /* settled longer ago: too_old */
    ATTNP_REFUSE_GAP,           /* frame_gap: error once, then ignoring */
    ATTNP_REFUSE_CREDIT         /* credit_exceeded: error once, then ignoring */
};

/* A fresh stream whose first frame will have the number `first`; credit is at least 1. Memory, here and below: the
 * caller's, used by one thread at a time. */
void attnp_sequence_init(struct attnp_sequence *sequence, uint64_t first, uint32_t credit);

/* A push begins with `number`: false where it is to be ignored whole and silently. To be asked once for each push,
 * before its frames; a push whose bin is bad is asked as well, and reported only where the answer is true. */
bool attnp_sequence_begin(struct attnp_sequence *sequence, uint64_t number);

/* The verdict on the next frame of a push that began; after REFUSE_GAP and REFUSE_CREDIT the rest of the push is
 * dropped. A frame with a NaN is taken like any other, and settled by its refusal when its turn comes. */
enum attnp_verdict attnp_sequence_frame(struct attnp_sequence *sequence, uint64_t number);

/* How many of n frames from `number` on are ATTNP_REFUSE_OLD: the first ones, since answers are kept from some number
 * on. */
uint64_t attnp_sequence_too_old(const struct attnp_sequence *sequence, uint64_t number, uint64_t n);

/* The bin was empty or no whole number of frames: ignoring from here on. */
void attnp_sequence_bad_bin(struct attnp_sequence *sequence);

/* Another holder begins: nothing is ignored any more. */
void attnp_sequence_listen(struct attnp_sequence *sequence);

/* The oldest waiting frame is settled (by an output, an event or an error). Returns its number. Requires that one
 * waits. */
uint64_t attnp_sequence_settle(struct attnp_sequence *sequence);

uint32_t attnp_sequence_waiting(const struct attnp_sequence *sequence);

/* Credit by the rule of the protocol: min(64, 1 MiB / the larger of frame and output bytes), at least 2. */
uint32_t attnp_credit(uint64_t frame_bytes, uint64_t output_bytes);
