/* SPDX-License-Identifier: MIT */
/* Ctrl-C, SIGTERM and SIGHUP as a wish to come to an end, where frames that were sent are to be answered; the second
 * one ends the process at once, as each of them does before interrupt_start. */
#pragma once

#include <stdbool.h>

/* From here on SIGINT, SIGTERM and SIGHUP are noted, unless they are ignored. */
void interrupt_start(void);

/* Whether one came. */
bool interrupted(void);

/* Returns `code`, or, where one came, undoes what ending.h lists and ends the process by the signal. For main. */
int interrupt_end(int code);

/* Becomes readable when one comes: for a poll that waits for something else. */
int interrupt_descriptor(void);
