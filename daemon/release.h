/* SPDX-License-Identifier: MIT */
/* The last thing that becomes of a stream: its memory is given back, a large one's away from the shard's thread, since
 * the kernel takes its time for it. */
#pragma once

#include "daemon/shard.h"
#include "daemon/stream.h"

/* Frees the stream, which stands in no list and is not registered any more. The shard's thread. */
void release_stream(struct shard *shard, struct stream *stream);

/* Frees the block [n_bytes] of a stream of this user; NULL is allowed. */
void release_block(struct shard *shard, uid_t uid, void *block, size_t n_bytes);
