/* SPDX-License-Identifier: MIT */
/* The way out: what became of each frame is counted once, and told to the stream's holder. Frames without an output are
 * gathered and named together. Nothing here allocates once a connection's buffers have their size. The shard's thread.
 */
#pragma once

#include "daemon/stream.h"

/* Counts a frame that was computed, and took so long, and tells the holder. The answer's lag is known. */
void answers_computed(struct stream *stream, const struct answer *answer, uint64_t took_ns);

/* Drops the oldest waiting frame, of which one is required, for this reason (a string that lives on): counts and tells.
 */
void answers_drop(struct stream *stream, const char *reason);

/* The stream ends: names the frames that have no output, and those that still wait and will have none. */
void answers_drop_all(struct stream *stream, const char *reason);

/* Tells the holder a kept answer once more; it was counted before. */
void answers_repeat(struct stream *stream, const struct answer *answer);

/* Names the frames that were gathered: before anything else is told of the stream. */
void answers_name_unanswered(struct stream *stream);

/* Forgets them: nobody is there any more to be told. */
void answers_forget_unanswered(struct stream *stream);

/* Bytes of the longest message that carries one output of so many bytes. */
size_t answers_bytes(size_t output_bytes);
