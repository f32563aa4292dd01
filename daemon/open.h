/* SPDX-License-Identifier: MIT */
/* The request `open`: from what a client wants to a stream, or to the reason why not. The shard's thread. */
#pragma once

#include "daemon/connection.h"
#include "daemon/stream.h"

/* The memory that the connection and its shard need to hold the stream. 0, or -1 and *error: no_memory, over_capacity,
 * also where the connection holds as many streams as it may. */
int open_provide(struct connection *connection, const struct stream *stream, struct attnp_error *error);

/* The answer to an open, and to an attach. */
void open_answer(struct connection *connection, const struct asker *asker, const struct stream *stream);

/* Opens a stream and answers with it. 0, or -1 and *error; then nothing has changed. */
int open_request(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                 struct attnp_error *error);
