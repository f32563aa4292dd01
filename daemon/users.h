/* SPDX-License-Identifier: MIT */
/* What each user (the uid of a connection's peer) takes of the daemon, and all of them together, held against [limits].
 * It knows no connection and no stream: the owner of what is counted gives it back when it ends. Any thread; the lock
 * is never taken on a frame's way, but where a buffer grows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/config.h"
#include "protocol/errors.h"

enum users_what {
    USERS_CONNECTIONS, /* the connection's, from accept on */
    USERS_STREAMS,     /* the registered card's, these two; its user's, not its holder's */
    USERS_STATE_BYTES,
    USERS_BUFFER_BYTES,     /* the connection's: unfinished messages and outboxes, by the room that they have */
    USERS_WAITING_REQUESTS, /* the pending request's in a stream, or the mail's on its way to another shard */
    N_USERS_LIMITED,
    USERS_CLAIMED_NS = N_USERS_LIMITED, /* the claim's, of a second of shards' time; held against its limit by
                                           admission.c, and only counted here */
    N_USERS_WHAT
};

/* Above the limits, for operators (root and the daemon's own user) alone: who is to end what takes too much has to get
 * in when everything is taken. The bytes are for lists of streams, which may be as long as a message. */
#define USERS_OPERATOR_CONNECTIONS 4
#define USERS_OPERATOR_REQUESTS    64
#define USERS_OPERATOR_BYTES       ((uint64_t)4 << 20)

struct users;

/* Reads its limits from `config` at each check; `memory_bytes` is that of the machine, for those that follow it. NULL:
 * no memory. */
struct users *users_new(const struct config *config, uid_t daemon_uid, uint64_t memory_bytes);
void users_free(struct users *users); /* NULL is allowed; everything has to be given back */

/* Connections are also bounded by so many, the operators' not counted. */
void users_bound_connections(struct users *users, uint64_t most);

/* Takes n more for this user. 0, or -1 and *error, and nothing is taken: the code that belongs to `what` (server_full,
 * over_capacity, limit_exceeded), with the number, the limit and its key; or no_memory. */
int users_charge(struct users *users, uid_t uid, enum users_what what, uint64_t n, struct attnp_error *error);

/* The same without a look at the limits, for what is owed to a client that has to end. It has to hold something. */
void users_charge_anyway(struct users *users, uid_t uid, enum users_what what, uint64_t n);

/* Root and the daemon's own user. */
bool users_is_operator(const struct users *users, uid_t uid);

/* Gives back n of what was charged. */
void users_discharge(struct users *users, uid_t uid, enum users_what what, uint64_t n);

/* A model takes of the same memory as states, and belongs to nobody: n bytes of what all users may have of state_bytes
 * together are its own until it is released. 0, or -1 and why. */
int users_hold_model(struct users *users, uint64_t n_bytes, char *why, size_t n_why);
void users_release_model(struct users *users, uint64_t n_bytes);

/* How much is taken by all users, and by this one; and the most that there may be in all. */
uint64_t users_total(struct users *users, enum users_what what);
uint64_t users_count(struct users *users, uid_t uid, enum users_what what);
uint64_t users_most(struct users *users, enum users_what what);
