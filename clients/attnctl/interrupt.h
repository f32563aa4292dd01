/* SPDX-License-Identifier: MIT */
/* Ctrl-C, SIGTERM and SIGHUP as a wish to come to an end; the second one ends the process at once. */
#pragma once

#include <stdbool.h>

/* From here on SIGINT, SIGTERM and SIGHUP are noted, unless they are ignored. */
void interrupt_start(void);

/* Whether one came. */
bool interrupted(void);

/* What main returns: `code`; where one came, everything is undone and the process ends by it. */
int interrupt_end(int code);

/* Becomes readable when one comes: for a poll that waits for something else. */
int interrupt_descriptor(void);
