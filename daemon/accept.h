/* SPDX-License-Identifier: MIT */
/* New connections: accepted here, told the reason where there is no room, and handed to the shard with most room. Main
 * thread. */
#pragma once

#include "daemon/server.h"

/* Accepts what waits, as the callback of server->accepting. */
void accept_ready(uv_poll_t *poll, int status, int events);

/* Tells those that wait to be accepted that the daemon stops. */
void accept_turn_all_away(struct server *server);
