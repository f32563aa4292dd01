/* SPDX-License-Identifier: MIT */
/* Who may still come in: a stream that says its rate claims a share of its shard's time, and is refused where that is
 * not left. Functions: the shard's thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct attnp_error;
struct claim;
struct model;
struct shard;

/* What a shard was seen to do; the fields are admission.c's. */
struct shard_use {
    uint64_t tick_us, cpu_ns, frames, computing_ns, opened; /* until its last tick */
    uint64_t unrated_since_ns;                              /* since then: what streams without a rate took */
    uint64_t away_ns;                                       /* and what frames took on other threads */
    atomic_uint_fast64_t unrated_ns; /* what these take of a second, as a mean; read by any thread, as the next */
    atomic_uint_fast64_t utilisation_permille; /* how much of the last second the thread was busy, as a mean */
};

/* What a stream that is opened asks for. */
struct admission_wish {
    uid_t uid; /* its user */
    const struct model *model;
    double rate;          /* frames a second; 0: none, and nothing is claimed */
    uint32_t deadline_ms; /* 0: none */
};

/* Enters the claim of a stream; the user holds something already. 0, or -1 and *error: over_capacity, which says what
 * is needed and what is left, or no_memory. The claim stays where it is until it is left. */
int admission_enter(struct shard *shard, struct claim *claim, const struct admission_wish *wish,
                    struct attnp_error *error);

/* Enters again the claim of a stream that was admitted before, and left another shard to live on this one: whatever the
 * load, since it was promised. A claim that is entered, or had no rate, is left alone; where there is no memory, the
 * stream goes on without one. */
void admission_keep(struct shard *shard, struct claim *claim);

/* Gives it back, on the shard where it was entered. A claim that is not entered is left alone. */
void admission_leave(struct shard *shard, struct claim *claim);

/* A frame of a stream without a rate was computed, and took so long. */
void admission_note_unrated(struct shard *shard, uint64_t took_ns);

/* A frame was computed on another thread, which is no overhead of this one; with or without a rate. */
void admission_note_away(struct shard *shard, uint64_t took_ns);

/* Brings claims, the use of streams without a rate, overhead and utilisation up to date; at each tick. */
void admission_tick(struct shard *shard, uint64_t now_us);
