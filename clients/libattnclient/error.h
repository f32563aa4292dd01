/* SPDX-License-Identifier: MIT */
/* Filling in a struct attnc_error. */
#pragma once

#include "attnc/client.h"
#include "protocol/errors.h"

/* Fills *error and returns `result`, so that one can say `return attnc_fail(...)`. */
__attribute__((format(printf, 3, 4))) int attnc_fail(struct attnc_error *error, int result, const char *format, ...);

/* The same from errno: ": " and its text are put after the message, `system` is set. */
__attribute__((format(printf, 3, 4))) int attnc_fail_system(struct attnc_error *error, int result, const char *format,
                                                            ...);

/* The same from what the daemon said, or a reader of the protocol found. */
int attnc_fail_wire(struct attnc_error *error, int result, const struct attnp_error *wire);
