/* SPDX-License-Identifier: MIT */
/* Requests about one stream: reset, close, kill and attach, which any client that may see the stream can make, also
 * from another shard; and finish, which is the holder's. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* Each as the request functions of requests.c: 0, and the response comes from the stream's shard; or -1 and *error. */
int stream_requests_reset(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                          struct attnp_error *error);
int stream_requests_close(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                          struct attnp_error *error);
int stream_requests_kill(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                         struct attnp_error *error);
int stream_requests_attach(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                           struct attnp_error *error);
int stream_requests_finish(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                           struct attnp_error *error);

/* A mail about a stream, which was of this shard when it was posted; sends it after a stream that has moved on. Takes
 * the mail over. */
void stream_requests_mail(struct shard *shard, struct mail *mail);
