/* SPDX-License-Identifier: MIT */
/* What becomes of streams with which nothing is done: their holders are warned, and they end. The shard's thread. */
#pragma once

#include "daemon/shard.h"

/* The timer's look: warns of streams whose time is nearly up, and ends those whose time is. */
void expiry_look(struct shard *shard, uint64_t now_us);

/* Ends the streams that nobody holds. */
void expiry_end_parked(struct shard *shard, const char *reason);
