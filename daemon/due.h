/* SPDX-License-Identifier: MIT */
/* The streams of a shard whose next pending request is due. The modules of frames put a stream here, so that they need
 * to know no request; pending.c carries the requests out once the batch is answered. The shard's thread. */
#pragma once

#include <stdbool.h>

#include "daemon/shard.h"
#include "daemon/stream.h"

/* Makes the empty list. */
void due_start(struct shard *shard);

/* Every frame that the stream's next pending request has to wait for is settled. */
bool due_is(const struct stream *stream);

/* Lists the stream where its next pending request is due, and returns whether that is so. The loop goes on at once. */
bool due_add(struct shard *shard, struct stream *stream);

/* Takes the stream out of the list; one that is not listed is left alone. */
void due_remove(struct shard *shard, struct stream *stream);

/* The first stream of the list, which leaves it; NULL: none is listed. */
struct stream *due_take(struct shard *shard);
