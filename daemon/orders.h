/* SPDX-License-Identifier: MIT */
/* What is asked of a stream and takes effect at a place in its sequence: reset, finish, close; and its end. From the
 * holder or anybody who may, on this shard or another. The stream's shard's thread. */
#pragma once

#include "daemon/connection.h"

/* Asks for it behind the frames accepted so far; the response follows when that is reached. */
void orders_add(struct shard *shard, struct stream *stream, int kind, const struct asker *asker);

/* Carries out what is due now: after a frame was settled. */
void orders_run(struct shard *shard, struct stream *stream);

/* Closes the stream: waiting frames are dropped and named, who asked is answered. Frees it. */
void orders_close(struct shard *shard, struct stream *stream, const struct asker *asker);

/* Ends the stream with its connection; `why` NULL: nobody is there to be told. Frees it. */
void orders_end(struct shard *shard, struct stream *stream, const struct attnp_error *why);
