/* SPDX-License-Identifier: MIT */
/* The last thing that becomes of a stream: its memory is given back, a large one's away from the shard's thread, since
 * the kernel takes its time for it. Its user is charged for the memory until it is gone. The shard's thread. */
#pragma once

#include "daemon/shard.h"
#include "daemon/stream.h"

/* Takes the block [*n_bytes] of a stream that ends while its user is still charged for it, and from here on for the
 * block by itself; NULL: it has none. Ends with release_block. */
void *release_take(struct shard *shard, struct stream *stream, size_t *n_bytes);

/* Frees such a block of this user; NULL is allowed. */
void release_block(struct shard *shard, uid_t uid, void *block, size_t n_bytes);

/* Takes and frees the block of a stream that ends, which is to be unregistered and freed afterwards. */
void release_state(struct shard *shard, struct stream *stream);
