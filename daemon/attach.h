/* SPDX-License-Identifier: MIT */
/* The request `attach`: a stream gets another holder, on this shard or another. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* Somebody who may see the stream, which is of this shard, wants to hold it, and shows this token. Whoever holds it
 * loses it at once; the response follows when no frame waits. Where the token is wrong, or there is no room for the
 * request, he is told so and nothing changes. The stream may have left the shard when this returns. */
void attach_ask(struct shard *shard, struct stream *stream, const struct asker *asker,
                const uint8_t token[ATTNP_TOKEN_BYTES]);

/* Nothing waits any more: the stream goes to who asked. False: it has left the shard. */
bool attach_hand_over(struct shard *shard, struct stream *stream, const struct asker *asker);

/* MAIL_STREAM: a stream comes from another shard. */
void attach_arrive(struct shard *shard, const struct mail *mail);

/* A MAIL_STREAM that nobody opens any more, since the daemon ends: frees the stream. */
void attach_discard(struct shard *shard, const struct mail *mail);

/* The stream ends while somebody waits to hold it: he is told. */
void attach_give_up(struct shard *shard, struct stream *stream, const struct attnp_error *error);

/* The stream's holder has gone: it is kept for a while. `why` as in connection_end. */
void attach_park(struct shard *shard, struct stream *stream, const struct attnp_error *why);
