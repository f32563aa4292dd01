/* SPDX-License-Identifier: MIT */
/* How much memory there is, and how it goes back. */
#pragma once

#include <stdint.h>

/* From here on large pieces go back to the system as soon as they are freed. Once, before other threads start. */
void memory_give_back(void);

/* The machine's memory, or what the service (MemoryMax=) or container may have of it where that is less. Main thread.
 */
uint64_t memory_bytes(void);
