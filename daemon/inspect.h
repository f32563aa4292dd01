/* SPDX-License-Identifier: MIT */
/* The requests that only look: models, streams, info, stats. Never contents of frames or states. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* Each answers: 0, or -1 and *error. */
int inspect_models(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                   struct attnp_error *error);
int inspect_streams(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                    struct attnp_error *error);
int inspect_info(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                 struct attnp_error *error);
int inspect_stats(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                  struct attnp_error *error);
