/* SPDX-License-Identifier: MIT */
/* The hot path between messages and streams: a push's frames into their queue, answers into messages. Nothing here
 * allocates once a connection's buffers have their size. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* A push body. 0, or -1 and *error where the message itself is wrong, which ends the connection. */
int answers_push(struct connection *connection, const uint8_t *body, size_t n_body, struct attnp_error *error);

/* Tells the stream's holder, if there is one, how its newest settled frame was. Frames without an output are gathered
 * and named together. */
void answers_give(struct stream *stream, const struct answer *answer);

/* Names those that were gathered: before anything else is told of the stream. */
void answers_name_unanswered(struct stream *stream);

/* Bytes of the longest message that carries one frame, or one output, of so many bytes. */
size_t answers_push_bytes(size_t frame_bytes);
size_t answers_bytes(size_t output_bytes);
