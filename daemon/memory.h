/* SPDX-License-Identifier: MIT */
/* How much memory there is, and how it goes back. */
#pragma once

#include <stdint.h>

/* From here on large pieces go back to the system as soon as they are freed. Once, before other threads start. */
void memory_give_back(void);

/* The machine's memory, or a container's where that has less: what cgroups, version 2 or 1, show of it inside. Main
 * thread. */
uint64_t memory_bytes(void);
