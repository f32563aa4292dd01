/* SPDX-License-Identifier: MIT */
/* Streams by how long nothing was done with them: those that somebody holds, those whose holder was warned, and those
 * that nobody holds since their connection broke; and what becomes of them in the end. Each list is in order of time,
 * so that the timer looks at its first streams only. The shard's thread. */
#pragma once

#include "daemon/shard.h"

/* Its holder has just done something with the stream. */
void idle_active(struct shard *shard, struct stream *stream, uint64_t now_us);

/* Nobody holds the stream any more, from now on. */
void idle_park(struct shard *shard, struct stream *stream, uint64_t now_us);

/* It leaves its list: it ends, or moves to another shard. */
void idle_leave(struct shard *shard, struct stream *stream);

/* The timer's look: warns of and ends streams whose time is up. */
void idle_look(struct shard *shard, uint64_t now_us);

/* Ends those that nobody holds. */
void idle_end_parked(struct shard *shard, const char *reason);
