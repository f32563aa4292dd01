/* SPDX-License-Identifier: MIT */
/* Streams by how long nothing was done with them: those that somebody holds, those whose holder was warned, and those
 * that nobody holds since their connection broke. Each list is in order of time, so that only its first streams have to
 * be looked at. What becomes of them is decided in expiry.c. The shard's thread. */
#pragma once

#include "daemon/shard.h"
#include "daemon/stream.h"

/* Makes the empty lists. */
void idle_start(struct shard *shard);

/* The stream's holder has just done something with it. */
void idle_active(struct shard *shard, struct stream *stream, uint64_t now_us);

/* Nobody holds the stream any more, from now on. */
void idle_park(struct shard *shard, struct stream *stream, uint64_t now_us);

/* The holder was warned: nothing was done with the stream since `since_us`. */
void idle_warned(struct shard *shard, struct stream *stream, uint64_t since_us);

/* The stream leaves its list: it ends, or moves to another shard. */
void idle_leave(struct shard *shard, struct stream *stream);

/* The stream of a list with which nothing was done for longest. NULL: the list is empty, or nothing has been in it for
 * more than after_ms. */
struct stream *idle_overdue(struct shard *shard, enum idle_list list, uint64_t now_us, uint64_t after_ms);

/* The stream that nobody holds for longest; NULL: there is none. */
struct stream *idle_first_parked(const struct shard *shard);
