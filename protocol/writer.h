/* SPDX-License-Identifier: MIT */
/* Writing every message that is not hot: a growing buffer with a sticky error, and one line a field. Used by both
 * sides. */
#pragma once

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"
#include "protocol/message.h"
#include "protocol/request.h"

/* Stays where it was initialized: it is not to be copied. One thread at a time. */
struct attnp_writer {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    bool failed;                /* no memory: the rest of the message is not written */
};

void attnp_writer_init(struct attnp_writer *writer);
void attnp_writer_done(struct attnp_writer *writer);

/* Starts a message and forgets what was written before (the length header is filled in by attnp_write_end). The params
 * or result is written next: exactly one value. */
void attnp_write_request(struct attnp_writer *writer, uint32_t id, enum attnp_method method);
void attnp_write_response(struct attnp_writer *writer, uint32_t id);     /* error nil, then the result */
void attnp_write_notification(struct attnp_writer *writer, enum attnp_method method);

/* Whole messages, but for attnp_write_end. An error without text gets the general one of its code. */
void attnp_write_error_response(struct attnp_writer *writer, uint32_t id, const struct attnp_error *error);
void attnp_write_error_notification(struct attnp_writer *writer, const struct attnp_error *error);

/* Values: a map of n keys is followed by exactly n calls of the functions with a key (or key + a value). */
void attnp_write_map(struct attnp_writer *writer, uint32_t n);
void attnp_write_array(struct attnp_writer *writer, uint32_t n);
void attnp_write_key(struct attnp_writer *writer, const char *key);
void attnp_write_uint(struct attnp_writer *writer, uint64_t value);
void attnp_write_string(struct attnp_writer *writer, const char *data, size_t n);
void attnp_put_uint(struct attnp_writer *writer, const char *key, uint64_t value);
void attnp_put_double(struct attnp_writer *writer, const char *key, double value);
void attnp_put_bool(struct attnp_writer *writer, const char *key, bool value);
void attnp_put_string(struct attnp_writer *writer, const char *key, const char *terminated);
void attnp_put_bin(struct attnp_writer *writer, const char *key, const void *data, size_t n);
void attnp_put_nil(struct attnp_writer *writer, const char *key);

/* Ends the message: fills in its length. *bytes stays the writer's, valid until its next use. 0, or -1 (no memory, or
 * the message is longer than max_message). The writer is then ready for the next message; its memory is kept for it. */
int attnp_write_end(struct attnp_writer *writer, size_t max_message, const uint8_t **bytes, size_t *n_bytes);
