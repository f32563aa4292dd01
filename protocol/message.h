/* SPDX-License-Identifier: MIT */
/* Whole messages: finding one in bytes, and its MessagePack-RPC envelope. It knows no method's parameters. */
#pragma once

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"

enum attnp_kind { ATTNP_REQUEST = 0, ATTNP_RESPONSE = 1, ATTNP_NOTIFICATION = 2 };

#define ATTNP_METHODS(X) \
    X(HELLO, "hello") X(OPEN, "open") X(ATTACH, "attach") X(RESET, "reset") X(FINISH, "finish") X(CLOSE, "close") \
    X(KILL, "kill") X(DRAIN, "drain") X(EXPORT, "export") X(IMPORT, "import") X(PING, "ping") X(MODELS, "models") \
    X(STREAMS, "streams") X(INFO, "info") X(STATS, "stats") X(PUSH, "push") X(OUTPUT, "output") X(EVENT, "event") \
    X(ERROR, "error")

enum attnp_method {
#define X(name, string) ATTNP_M_##name,
    ATTNP_METHODS(X)
#undef X
    ATTNP_M_UNKNOWN
};

/* "push"; "unknown" for ATTNP_M_UNKNOWN. Any thread. */
const char *attnp_method_name(enum attnp_method method);

/* Finds the message at the start of bytes[0..n_bytes). Returns 1 and its body (in place, after the length header) once
 * it is whole; 0 where more bytes are needed; -1 and *error where the header claims 0 or more than max_message bytes
 * (limit_exceeded; nothing was allocated for the claim): where the next message begins is then unknown. The message
 * takes ATTNP_LENGTH_BYTES + *n_body bytes. Any thread. */
int attnp_message_find(const uint8_t *bytes, size_t n_bytes, size_t max_message, const uint8_t **body, size_t *n_body,
                       struct attnp_error *error);

/* Whether the body is a push (client to daemon) or an output (daemon to client) by its first bytes, in any encoding:
 * the hot messages, which attnp_push_read and attnp_output_read take. The rest may still be wrong. Any thread. */
int attnp_is_push(const uint8_t *body, size_t n_body);
int attnp_is_output(const uint8_t *body, size_t n_body);

/* A message that is not hot. Everything points into the body or the zone, and lives until attnp_message_done. */
struct attnp_message {
    enum attnp_kind kind;
    uint32_t id;                        /* of requests and responses; below 2³² */
    enum attnp_method method;           /* of requests and notifications */
    char method_name[32];               /* as it came, cut where longer, for error messages */
    const msgpack_object *params;       /* of requests and notifications: a map (absent or nil: an empty one); of push and
                                           output an array; of an unknown method anything */
    const msgpack_object *error;        /* of responses: nil or a map */
    const msgpack_object *result;       /* of responses */
    msgpack_zone zone;
    msgpack_object root;
};

/* Scans and reads a body, which has to stay as long as the message. 0 (then attnp_message_done is due), or -1 and
 * *error: bad_message, limit_exceeded (both with offset), no_memory. An unknown method is no error here (method =
 * ATTNP_M_UNKNOWN). Values after the last one known are ignored. *id_known says whether the body begins like a request,
 * so that message->id may be answered even though -1 was returned. Any thread, one message each. */
int attnp_message_read(struct attnp_message *message, const uint8_t *body, size_t n_body, bool *id_known,
                       struct attnp_error *error);

/* Frees the objects. Takes NULL, a message that could not be read, and a message that is done. */
void attnp_message_done(struct attnp_message *message);

/* Looks up a string key of a map; of a key that comes twice the first counts. NULL where absent, or where `map` is NULL
 * or no map. */
const msgpack_object *attnp_map_get(const msgpack_object *map, const char *key);

/* The via.str.size bytes of a string; "" where msgpack-c has NULL, which is how it unpacks an empty one. */
const char *attnp_text_of(const msgpack_object *string);

/* Reads an `error` map (of a response or of an error notification) into *error; unknown codes are kept as numbers. -1
 * if it is no such map: no `code` from 1 to 2³¹ − 1. An optional key whose value is none of its kind counts as absent;
 * so do left_shard and left_all unless both are finite and 0 or more. */
int attnp_error_read(const msgpack_object *map, struct attnp_error *error);
