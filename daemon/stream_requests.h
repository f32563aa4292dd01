/* SPDX-License-Identifier: MIT */
/* Requests about one stream that anybody who may can make, also on another shard: reset, close, kill, attach. The
 * shard's thread. */
#pragma once

#include "daemon/connection.h"

/* Each as the request functions of requests.c: 0, the response comes from the stream's shard; or -1 and *error. */
int stream_requests_reset(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                          struct attnp_error *error);
int stream_requests_close(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                          struct attnp_error *error);
int stream_requests_kill(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                         struct attnp_error *error);
int stream_requests_attach(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                           struct attnp_error *error);

/* A mail about a stream, which was of this shard when it was posted; sends it after a stream that has moved on. Takes
 * the mail over. */
void stream_requests_mail(struct shard *shard, struct mail *mail);

/* Which stream is meant, and whether this client may. 0, or -1 and *error. */
int stream_requests_look_up(const struct connection *connection, const struct attnp_target *target,
                            struct card_view *view, struct attnp_error *error);
