/* SPDX-License-Identifier: MIT */
/* The daemon's answers as JSON. */
#pragma once

#include <jansson.h>
#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

#include "attnc/client.h"

/* One MessagePack value as JSON: bins as hexadecimal text, NaN and infinity as null. The value's depth is bounded by
 * the protocol. NULL where it cannot be read, or without memory; else to be freed with json_decref. */
json_t *json_of_msgpack(const void *bytes, size_t n_bytes);

/* attnc_call with the answer as JSON, which is of any type. NULL on failure, which attnc_last_error tells. */
json_t *json_call_packed(struct attnc_client *client, const char *method, const msgpack_sbuffer *params);

/* The same with a stream's number or name, `target`, as the one parameter, or NULL for none. */
json_t *json_call(struct attnc_client *client, const char *method, const char *target);

/* The same for a stream, with another parameter, a text, where that is not NULL. */
json_t *json_call_with(struct attnc_client *client, const char *method, const char *target, const char *key,
                       const char *text);

/* The same with the parameter `after`: what follows in an answer that comes in parts. */
json_t *json_call_after(struct attnc_client *client, const char *method, uint64_t after);
