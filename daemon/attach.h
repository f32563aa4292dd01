/* SPDX-License-Identifier: MIT */
/* The request `attach`: a stream gets another holder, on this shard or another. The shard's thread. */
#pragma once

#include "daemon/shard.h"
#include "daemon/stream.h"

/* A client that may see the stream, which is of this shard, wants to hold it, and shows this token. The holder loses
 * the stream at once; the response follows when no frame waits. Where the token is wrong, or there is no room for the
 * request, the asker is told so and nothing changes. The stream may have left the shard when this returns. */
void attach_ask(struct shard *shard, struct stream *stream, const struct asker *asker,
                const uint8_t token[ATTNP_TOKEN_BYTES]);

/* MAIL_STREAM: a stream comes from another shard. */
void attach_arrive(struct shard *shard, const struct mail *mail);

/* The stream ends, or another client asked for it: the heir, if there is one, is told. */
void attach_give_up(struct shard *shard, struct stream *stream, const struct attnp_error *error);

/* The stream's holder has gone: the stream is kept for a while. `why` as in connection_handler. */
void attach_park(struct shard *shard, struct stream *stream, const struct attnp_error *why);
