/* SPDX-License-Identifier: MIT */
/* How much memory there is for the states of streams, and how it goes back. */
#pragma once

#include "daemon/config.h"

/* From here on large pieces go back to the system as soon as they are freed. Once, before other threads start. */
void memory_give_back(void);

/* Bytes: state_bytes, or half of the machine's or container's memory where that is 0. */
uint64_t memory_for_states(const struct config *config);
