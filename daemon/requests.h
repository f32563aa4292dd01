/* SPDX-License-Identifier: MIT */
/* What each message of a client means: the upper end of a connection. The shard's thread. */
#pragma once

#include "daemon/connection.h"

/* The handler of every connection. */
extern const struct connection_handler requests_handler;

/* A mail from another shard: MAIL_RESET or MAIL_CLOSE of a stream here, or a MAIL_RESPONSE for a connection here. */
void requests_mail(struct shard *shard, const struct mail *mail);
