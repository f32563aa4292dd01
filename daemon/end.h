/* SPDX-License-Identifier: MIT */
/* The end of a stream, however it comes: frames that wait are dropped and named, requests that wait are refused, and
 * whatever the stream took is given back. The thread of the stream's shard. */
#pragma once

#include "daemon/shard.h"
#include "daemon/stream.h"

/* Closes the stream; the asker is answered with its counts, and another holder is told. Frees it. */
void end_close(struct shard *shard, struct stream *stream, const struct asker *asker);

/* The same by an operator, with a reason ("": none was given). */
void end_kill(struct shard *shard, struct stream *stream, const struct asker *asker, const char *text);

/* The stream's time is up: the holder, if there is one, is told the reason. Frees it. */
void end_expire(struct shard *shard, struct stream *stream, const char *reason);

/* The stream ends with its connection; `why` NULL: nobody is there to be told. Frees it. */
void end_with_connection(struct shard *shard, struct stream *stream, const struct attnp_error *why);

/* The daemon ends while the stream is between two shards: frees it. Main thread, once all shards are joined. */
void end_discard(struct shard *shard, struct stream *stream);

/* The counts of a stream in a response: five fields of a map. */
void end_put_counts(struct attnp_writer *writer, const struct stream *stream);

/* A line of the log: the stream ended without its client's wish. `event` is a word; `reason` may be "". */
void end_log(struct shard *shard, const struct stream *stream, const char *event, const char *reason);
