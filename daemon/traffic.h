/* SPDX-License-Identifier: MIT */
/* What is counted of frames, by model and shard: what became of them, how long answers took, how many were computed
 * together. Counts are kept under the model's name, and so go on where another file takes its place. It knows no
 * stream, no message and no clock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/counters.h"
#include "protocol/histogram.h"

/* Under which name raw attentions are counted; and models of further names, where so many were counted already. */
#define TRAFFIC_ATTENTION  "attention"
#define TRAFFIC_OTHERS     "others"
#define TRAFFIC_MOST_NAMES 256

/* Batch sizes by powers of two: 1, 2, 3 to 4, 5 to 8 ... 33 to 64 (PLAN_MOST_AT_ONCE). */
#define TRAFFIC_SIZES 7

/* missed: answered after the deadline, and so in outputs, too. The lags are those of outputs, from arrival to write. */
#define TRAFFIC_COUNTS(X)                                                                                              \
    X(frames)                                                                                                          \
    X(outputs)                                                                                                         \
    X(refused)                                                                                                         \
    X(dropped)                                                                                                         \
    X(skipped)                                                                                                         \
    X(missed)                                                                                                          \
    X(computing_ns)                                                                                                    \
    X(computed)                                                                                                        \
    X(lag_sum_us)

/* One model's on one shard, whose thread writes it; read by any, relaxed. About 4 KiB. */
struct traffic {
    atomic_uint_fast64_t streams; /* now; the one that any thread changes */
#define X(name) atomic_uint_fast64_t name;
    TRAFFIC_COUNTS(X)
#undef X
    atomic_uint_fast64_t lag_max_us;
    atomic_uint_fast64_t sizes[TRAFFIC_SIZES];
    atomic_uint_fast64_t lags[ATTNP_HISTOGRAM_BUCKETS];
};

/* A copy of one, or several added up. */
struct traffic_sum {
    uint64_t streams;
#define X(name) uint64_t name;
    TRAFFIC_COUNTS(X)
#undef X
    uint64_t lag_max_us;
    uint64_t sizes[TRAFFIC_SIZES];
    uint64_t lags[ATTNP_HISTOGRAM_BUCKETS];
};

/* A stream is counted by `to` from here on, and no longer by `from`; either may be NULL. Any thread. */
void traffic_move(struct traffic *from, struct traffic *to);

/* n frames came; and what became of frames: an output, after the deadline or not, no number, dropped, or applied
 * without an output. The shard's thread, these and the next. */
void traffic_frames(struct traffic *traffic, uint64_t n);
void traffic_output(struct traffic *traffic, uint64_t lag_us, bool is_missed);
void traffic_refused(struct traffic *traffic);
void traffic_dropped(struct traffic *traffic, uint64_t n);
void traffic_skipped(struct traffic *traffic);

/* n frames, 1 to 64, were computed together. */
void traffic_batch(struct traffic *traffic, size_t n, uint64_t took_ns);

/* All names' traffic on all shards. */
struct traffic_book;

/* NULL: no memory; NULL is allowed. Main thread, before the shards run and after. */
struct traffic_book *traffic_book_new(unsigned n_shards);
void traffic_book_free(struct traffic_book *book);

/* What a model's streams on this shard are counted in ("": a raw attention); made at the first call, and there as long
 * as the book. NULL: no memory. Any thread. */
struct traffic *traffic_of(struct traffic_book *book, const char *model, unsigned shard);

/* How many names there are, which never become fewer, and one of them. Any thread, here and below. */
size_t traffic_n_names(struct traffic_book *book);
const char *traffic_name(const struct traffic_book *book, size_t index);

/* Which name's traffic is a model's; -1: none yet. */
int traffic_find(struct traffic_book *book, const char *model);

/* Adds what this name has on this shard. False: it was never used there. */
bool traffic_add(const struct traffic_book *book, size_t index, unsigned shard, struct traffic_sum *sum);

/* Adds up what is counted under all names on the shards from `first` on and below `end`. */
void traffic_add_up(struct traffic_book *book, unsigned first, unsigned end, struct traffic_sum *sum);

/* The same of single counts of one shard: its streams; the frames that were computed with an answer, and how long all
 * computing took. */
uint64_t traffic_streams(struct traffic_book *book, unsigned shard);
void traffic_computed(struct traffic_book *book, unsigned shard, uint64_t *n_frames, uint64_t *computing_ns);

/* Frames that wait: taken, and not settled by now. */
uint64_t traffic_waiting(const struct traffic_sum *sum);
