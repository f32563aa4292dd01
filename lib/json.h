/* SPDX-License-Identifier: MIT */
/* Reads JSON that nobody vouches for. It knows nothing of what the text means. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "attn/attn.h"

/* Reads one JSON object from n_bytes of text: no duplicate names, at most ATTN_MAX_NESTING deep, nothing after it.
 * `what` names the text in messages. Returns a new reference, or NULL with *error (ATTN_E_MODEL, ATTN_E_MEMORY) and
 * *why filled. */
json_t *attn_json_read(const char *text, size_t n_bytes, const char *what, int *error, struct attn_reason *why);

/* The first member of the object whose name is not in the NULL-terminated list, or NULL. */
const char *attn_json_unknown(json_t *object, const char *const *known);
