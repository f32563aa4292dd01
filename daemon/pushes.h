/* SPDX-License-Identifier: MIT */
/* The way in: the frames of a push get their places in their stream's queue. Nothing here allocates once a connection's
 * buffers have their size. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* Takes the frames of a push body; a frame that cannot be taken is told by an error. 0, or -1 and *error where the
 * message itself is wrong, which ends the connection. */
int pushes_take(struct connection *connection, const uint8_t *body, size_t n_body, struct attnp_error *error);

/* Bytes of the longest message that pushes one frame of so many bytes. */
size_t pushes_bytes(size_t frame_bytes);
