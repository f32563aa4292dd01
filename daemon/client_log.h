/* SPDX-License-Identifier: MIT */
/* What an operator wants to find in the log about clients and their streams; bounded, without waiting or allocating.
 * The shard's thread, unless said otherwise. */
#pragma once

#include "daemon/asker.h"
#include "daemon/connection.h"

/* The connection ends, and this was its reason. */
void client_log_connection(const struct connection *connection, const struct attnp_error *why);

/* A request was answered with an error; what is the client's mistake alone is not logged. */
void client_log_request(struct shard *shard, const struct asker *asker, const struct attnp_error *error);

/* A client was turned away before it had a connection. `fd` is its socket. Main thread, with a quota of its own. */
void client_log_client(struct log_quota *quota, int fd, const struct attnp_error *error);

/* A stream ended without its client's wish: `about` has the event, such as "expired" or "killed". `name` and `reason`
 * may be "". */
void client_log_stream(struct shard *shard, const struct log_about *about, const char *name, const char *reason);
