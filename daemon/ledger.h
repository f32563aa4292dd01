/* SPDX-License-Identifier: MIT */
/* What the streams with a rate take of one shard's time. Kept is the sum of rates for each cost, in whole numbers, and
 * not the time they come to: so it follows a cost that changes, and is exactly nothing when the last stream has gone,
 * after any number of streams. It decides nothing.
 *
 * The shard's thread; the atomics may be read by any. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/cost.h"

/* What one stream takes of its shard's time. All zeros: nothing. */
struct claim {
    double rate;       /* frames a second; 0: not known, and nothing is claimed */
    struct cost *cost; /* of its stream's model, which uses it */
    struct load *load; /* of the shard's ledger; NULL: not entered */
    uint64_t rate_uhz; /* what stands there for it */
    struct claim_charge {
        uid_t uid;
        uint64_t ns; /* of a second */
    } charge;        /* to its user, as of when it was entered; admission.c's */
};

/* The streams of one cost. */
struct load {
    LIST_ENTRY(load) link;
    struct cost *cost; /* used */
    uint64_t rate_uhz; /* the sum, in millionths of a frame a second */
    size_t n_streams;
};

struct ledger {
    LIST_HEAD(loads, load) loads;
    double value_ns; /* what all claims came to at the newest ledger_value, and what entered and left since then */
    atomic_uint_fast64_t claimed_ns;  /* a second, of all loads, as of the newest ledger_value */
    atomic_uint_fast64_t overhead_ns; /* a frame: reading, queueing and writing it, measured */
};

void ledger_init(struct ledger *ledger, double overhead_ns);
void ledger_done(struct ledger *ledger); /* nothing has to be claimed any more */

/* A claim of this rate and cost (NULL where the rate is 0) that is not entered. */
void ledger_claim(struct claim *claim, double rate, struct cost *cost);

/* What a frame takes besides computing, by now. */
void ledger_set_overhead(struct ledger *ledger, uint64_t overhead_ns);

/* Enters a claim that is not entered yet. 0, or -1: no memory. */
int ledger_enter(struct ledger *ledger, struct claim *claim);

/* Takes it out of the ledger in which it stands; a claim that is not entered is left alone. */
void ledger_leave(struct ledger *ledger, struct claim *claim);

/* What all claims come to by now, in nanoseconds a second, also put into claimed_ns. */
double ledger_value(struct ledger *ledger);

/* What they would come to with one more stream of this cost and rate. */
double ledger_value_with(const struct ledger *ledger, const struct cost *cost, double rate);

/* What one more frame of this cost takes, overhead included, computed in groups of the size that the load implies. */
double ledger_frame_ns(const struct ledger *ledger, const struct cost *cost, double rate);

/* The longest that one frame of any load takes when it is computed alone. */
double ledger_longest_ns(const struct ledger *ledger);
