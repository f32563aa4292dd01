/* SPDX-License-Identifier: MIT */
/* Messages to clients that are no outputs: responses, wherever the asker's connection is by now, errors and events.
 * Each error that a client is told is counted here. The shard's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/asker.h"
#include "daemon/connection.h"

/* Frames in a row that have no output, for the same reason. */
struct unanswered {
    bool was_applied;   /* true: skipped; false: dropped */
    const char *reason; /* a word of attnd-protocol(7) */
    uint64_t first;     /* number */
    uint32_t count;     /* 0: none */
};

/* Begins a response in the shard's writer; the result is written next, then reply_send. */
struct attnp_writer *reply_begin(struct shard *shard, const struct asker *asker);

/* Ends the message in the shard's writer and delivers it: here, by mail to another shard, or not at all if the asker
 * has gone. */
void reply_send(struct shard *shard, const struct asker *asker);

/* A whole response that is an error. */
void reply_error(struct shard *shard, const struct asker *asker, const struct attnp_error *error);

/* Notifications. `reason` is a word of attnd-protocol(7). Where the connection is NULL nobody is there to be told. */
void reply_notify_error(struct connection *connection, const struct attnp_error *error);
void reply_event_unanswered(struct connection *connection, uint64_t stream, const struct unanswered *frames);
void reply_event_reset(struct connection *connection, uint64_t stream, uint64_t next_frame);
void reply_event_ended(struct connection *connection, uint64_t stream, const char *reason, const char *text);
void reply_event_superseded(struct connection *connection, uint64_t stream);
void reply_event_idle(struct connection *connection, uint64_t stream, uint64_t expires_ms);
void reply_event_drain(struct connection *connection, uint64_t deadline_ms);
