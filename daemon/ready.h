/* SPDX-License-Identifier: MIT */
/* Streams that have a frame to compute. Most stand in the shard's batch (batch.h). Those whose frames are dear, so that
 * others would wait for one of them, stand here: their frames are computed on another thread, of each user of a shard
 * one at a time. The shard's thread. */
#pragma once

#include "daemon/shard.h"
#include "daemon/stream.h"

/* The stream goes on with what comes next in it: where a request is due, that is listed (due.h); where a frame waits,
 * the stream queues up behind the others, if it does not stand there already. */
void ready_add(struct shard *shard, struct stream *stream);

/* The stream leaves the queue in which it stands. */
void ready_remove(struct shard *shard, struct stream *stream);
