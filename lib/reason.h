/* SPDX-License-Identifier: MIT */
/* The one way to say why something is refused. It knows nothing of what that is. */
#pragma once

#include <stdbool.h>

#include "attn/attn.h"

/* Writes the sentence into *why (NULL: nowhere) and returns `error`, so that `return attn_refuse(…)` reads well. Names
 * out of a file may be in it: control characters, and bytes that are no UTF-8 or were cut, become '?'. */
int attn_refuse(struct attn_reason *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whether a text is UTF-8 without control characters, so that it can be shown on a terminal as it is. */
bool attn_reason_printable(const char *text);
