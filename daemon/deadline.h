/* SPDX-License-Identifier: MIT */
/* Frames whose answer nobody needs computed: those that are too late for their stream's deadline, and those of a
 * replay. The shard's thread. */
#pragma once

#include "daemon/shard.h"

/* To be asked when the stream's oldest waiting frame is about to be computed, with an answer `ahead_ns` from now.
 * Drops what is then too late where the stream wants that (drop-oldest), and decides whether the output of the frame
 * that is computed next is skipped (stream->skip). False: nothing is left to compute, and the stream may have left the
 * shard. */
bool deadline_settle(struct shard *shard, struct stream *stream, uint64_t now_us, uint64_t ahead_ns);

/* Counts how a frame was settled, its lag_us known. */
void deadline_count(struct shard *shard, struct stream *stream, const struct answer *answer);
