/* SPDX-License-Identifier: MIT */
/* Which frames are computed next, and together. The module knows no request. The shard's thread. */
#pragma once

#include "daemon/shard.h"
#include "daemon/stream.h"

/* Makes the empty queue. */
void batch_start(struct shard *shard);

/* The stream may have a frame to compute: it queues up behind the others, if it does not stand there already. */
void batch_add(struct shard *shard, struct stream *stream);

/* The stream leaves the queue. */
void batch_remove(struct shard *shard, struct stream *stream);

/* Computes the oldest frame of every stream in the queue, one each, as far as the time of a batch goes, and hands the
 * answers out. Streams whose next pending request is then due are listed in due.h, and queue up when it was carried
 * out. No stream ends or moves meanwhile. */
void batch_run(struct shard *shard);

/* One batch more was computed: of a frame, elsewhere. */
void batch_count(struct shard *shard);
