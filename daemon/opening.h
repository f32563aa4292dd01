/* SPDX-License-Identifier: MIT */
/* The request `open`: from what a client wants to a stream, or to the reason why not. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* Opens a stream and answers with it. 0, or -1 and *error; then nothing has changed. */
int opening_request(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                    struct attnp_error *error);
