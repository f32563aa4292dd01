/* SPDX-License-Identifier: MIT */
/* Which frame is computed next. The shard's thread. */
#pragma once

#include "daemon/shard.h"

/* A batch ends after so much time, so that reading and writing are never far away; one frame that alone takes longer is
 * a batch. */
#define BATCH_US 2000

/* So many streams behind the first are looked through for others of its model. */
#define BATCH_LOOK 256

/* The stream may have a frame to compute: it queues up behind the others, if it does not stand there already. */
void batch_add(struct shard *shard, struct stream *stream);

/* The stream leaves the queue. */
void batch_remove(struct shard *shard, struct stream *stream);

/* Computes the oldest frame of every stream in the queue, one each, and hands the answers out. */
void batch_run(struct shard *shard);
