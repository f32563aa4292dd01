/* SPDX-License-Identifier: MIT */
/* How much memory there is for the states of streams. */
#pragma once

#include "daemon/config.h"

/* Bytes: state_bytes, or half of the machine's or container's memory where that is 0. */
uint64_t memory_for_states(const struct config *config);
