/* SPDX-License-Identifier: MIT */
/* Every stream of the daemon by number and by name, so that any connection on any shard can look at it and find its
 * shard. It knows cards, not streams: what a card describes is touched by its own shard alone. How many there may be is
 * users.h's to know. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/cost.h"
#include "daemon/users.h"
#include "protocol/request.h"

/* What is asked of a stream besides its model; told by `open`. */
struct card_terms {
    double rate;          /* frames/s that were promised; 0: none was */
    uint32_t deadline_ms; /* of an answer, from the frame's arrival; 0: none */
    enum attnp_late late;
};

/* The public face of a stream, embedded in it. The first part never changes while the card is registered, but for shard
 * and connection, which registry_move changes. */
struct card {
    uint64_t number;                 /* given by registry_add, never again while the daemon runs */
    char name[ATTNP_MAX_NAME + 1];   /* "": none */
    char model[ATTNP_MAX_MODEL + 1]; /* "": a raw attention */
    uid_t uid;
    unsigned shard;
    uint64_t connection;
    uint64_t bytes; /* of the stream's block */
    uint32_t input_dim, output_dim, credit, warming_frames;
    struct card_terms terms;
    const struct cost *cost; /* its model's */
    uint64_t opened_us;
    atomic_uint_fast64_t next_frame, settled, position; /* written by the shard, read by anyone, relaxed */
    atomic_uint_fast64_t frames, outputs, refused, dropped, skipped, missed; /* missed: answered after the deadline */
    atomic_uint_fast64_t lag_us, computing_ns, bytes_in, bytes_out;
    atomic_uint_fast64_t active_us; /* when its holder last did something with it */
    atomic_uint_fast64_t oldest_us; /* when the oldest waiting frame arrived; 0: none waits */
    atomic_uint_fast64_t parked_us; /* since when nobody holds it; 0: somebody does */
    TAILQ_ENTRY(card) in_order;     /* the rest is the registry's */
    LIST_ENTRY(card) in_numbers, in_names;
    uint64_t parted_bytes; /* of `bytes`, those that are its caller's (registry_part) */
};

/* A copy of a card, for readers on any thread. */
struct card_view {
    uint64_t number;
    char name[ATTNP_MAX_NAME + 1], model[ATTNP_MAX_MODEL + 1];
    uid_t uid;
    unsigned shard;
    uint64_t connection, bytes;
    uint32_t input_dim, output_dim, credit, warming_frames;
    struct card_terms terms;
    double cost_us, cost_us_batched;
    uint64_t opened_us, next_frame, settled, position, frames, outputs, refused, dropped, skipped, missed, lag_us,
        computing_ns, bytes_in, bytes_out, active_us, oldest_us, parked_us;
};

struct registry;

/* What a registered card takes is charged to its user in `users`, which has to live longer. NULL: no memory. Main
 * thread. */
struct registry *registry_new(struct users *users);
void registry_free(struct registry *registry); /* NULL is allowed; no card may be registered any more */

/* Any thread from here on. Whether a stream of this user, with this name [n_name], and at least so many bytes, would be
 * registered now: 0, or -1 and *error as of registry_add. */
int registry_check(struct registry *registry, uid_t uid, const char *name, size_t n_name, uint64_t bytes,
                   struct attnp_error *error);

/* Gives the card its number and registers it, as of this shard and this connection. 0, or -1
 * and *error: stream_exists, over_capacity, no_memory. */
int registry_add(struct registry *registry, struct card *card, unsigned shard, uint64_t connection,
                 struct attnp_error *error);
void registry_remove(struct registry *registry, struct card *card);

/* So many of the card's bytes are the caller's from here on, who gives them back to users.h when their memory is gone:
 * registry_remove gives back the others. */
void registry_part(struct registry *registry, struct card *card, uint64_t bytes);

/* The card of a number, for its shard, which alone may use or remove it. NULL: there is none, or it belongs to another
 * shard, which *elsewhere (may be NULL) then tells; -1: none. */
struct card *registry_find(struct registry *registry, uint64_t number, unsigned shard, int *elsewhere);

/* What is done while nobody can look the card up. */
struct registry_moved {
    void (*then)(void *argument);
    void *argument;
};

/* By the card's shard, which with another `shard` gives it away: what `moved` (NULL: nothing) does comes before
 * whatever others do who look it up there. */
void registry_move(struct registry *registry, struct card *card, unsigned shard, uint64_t connection,
                   const struct registry_moved *moved);

/* Copies the card that `target` names, where a peer of this uid (or an operator) may see it. 0, or -1 and *error:
 * unknown_stream, denied. A name means the peer's own stream first, and any other only for an operator. */
int registry_look(struct registry *registry, const struct attnp_target *target, uid_t uid, bool is_operator,
                  struct card_view *view, struct attnp_error *error);

/* Copies up to n_views cards, with numbers above `after` and rising, that this peer may see. Returns how many; *more:
 * there are others. */
size_t registry_list(struct registry *registry, uint64_t after, uid_t uid, bool is_operator, struct card_view *views,
                     size_t n_views, bool *more);

/* Streams and their bytes now, and the most there may be. */
void registry_totals(struct registry *registry, uint64_t *n_streams, uint64_t *bytes, uint64_t *most_streams,
                     uint64_t *most_bytes);
