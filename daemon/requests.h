/* SPDX-License-Identifier: MIT */
/* What each message of a client means: the upper end of a connection. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* The handler of every connection. */
extern const struct connection_handler requests_handler;

/* A mail from another shard about a stream, or a MAIL_RESPONSE for a connection here. Takes it over. */
void requests_mail(struct shard *shard, struct mail *mail);

/* Responses to clients of this shard were lost on their way: they are told so. Where not all of these are known, every
 * connection that still waits for a response ends. */
void requests_lost(struct shard *shard, const struct lost *lost);
