/* SPDX-License-Identifier: MIT */
/* Ctrl-C and SIGTERM as a wish to come to an end; the second one ends the process at once. */
#pragma once

#include <stdbool.h>

/* From here on SIGINT and SIGTERM are noted. */
void interrupt_start(void);

/* Whether one came. */
bool interrupted(void);

/* Becomes readable when one comes: for a poll that waits for something else. */
int interrupt_descriptor(void);
