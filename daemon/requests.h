/* SPDX-License-Identifier: MIT */
/* What each message of a client means: the upper end of a connection. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* The handler of every connection. */
extern const struct connection_handler requests_handler;

/* A mail from another shard about a stream, or a MAIL_RESPONSE for a connection here. Takes it over. */
void requests_mail(struct shard *shard, struct mail *mail);
