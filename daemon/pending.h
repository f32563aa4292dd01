/* SPDX-License-Identifier: MIT */
/* What is asked of a stream and takes effect at a place in its sequence: reset, finish, attach, close; and its end.
 * From the holder or anybody who may, on this shard or another. The stream's shard's thread. */
#pragma once

#include "daemon/connection.h"

/* Asks for it behind the frames accepted so far; the response follows when that is reached, or at once where there is
 * no room for it. An attach that waits before it may have moved the stream to another shard when this returns. */
void pending_add(struct shard *shard, struct stream *stream, enum order_kind kind, const struct asker *asker);

/* The same in two steps, for whoever changes the stream in between, and only where there is room. The first: NULL: who
 * asked was told why not. The second may have moved the stream to another shard when it returns. */
struct order *pending_make(struct shard *shard, const struct stream *stream, enum order_kind kind,
                           const struct asker *asker);
void pending_queue(struct shard *shard, struct stream *stream, struct order *order);

/* Carries out what is due now: after a frame was settled. False: the stream is no longer of this shard. */
bool pending_run(struct shard *shard, struct stream *stream);

/* Frees those that wait; nobody is told. */
void pending_forget(struct shard *shard, struct stream *stream);

/* Closes the stream: waiting frames are dropped and named, who asked is answered. Frees it. */
void pending_close(struct shard *shard, struct stream *stream, const struct asker *asker);

/* The same by an operator, with his reason ("": he gave none). */
void pending_kill(struct shard *shard, struct stream *stream, const struct asker *asker, const char *text);

/* Its time is up: the holder, if there is one, is told the reason. Frees it. */
void pending_expire(struct shard *shard, struct stream *stream, const char *reason);

/* Ends the stream with its connection; `why` NULL: nobody is there to be told. Frees it. */
void pending_end(struct shard *shard, struct stream *stream, const struct attnp_error *why);
