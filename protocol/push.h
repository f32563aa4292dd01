/* SPDX-License-Identifier: MIT */
/* The two hot messages, push and output, read and written in place with a bounded cursor: no msgpack-c, no allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"

/* A client's own clock value, a MessagePack number kept as the bytes that came, so that it goes back as it was. */
struct attnp_time {
    uint8_t n_bytes;            /* 0: none */
    uint8_t bytes[9];
};

struct attnp_push {
    uint64_t stream;
    uint64_t first;             /* number of the first frame */
    const uint8_t *frames;      /* float32 little-endian, any alignment, in the message */
    size_t n_bytes;             /* of frames; the daemon checks that it is a whole number of frames */
    struct attnp_time time;
};

/* Reads a push body. 0, or -1 and *error (bad_message or limit_exceeded, with offset). Everything points into the body.
 * Allocates nothing. Any thread. */
int attnp_push_read(struct attnp_push *push, const uint8_t *body, size_t n_body, struct attnp_error *error);

/* Bytes that attnp_push_write needs, length header included. */
size_t attnp_push_bytes(const struct attnp_push *push);

/* Writes the whole message with its length header, the frames copied in, into attnp_push_bytes(push) bytes of the
 * caller; returns its length. */
size_t attnp_push_write(uint8_t *bytes, const struct attnp_push *push);

struct attnp_output {
    uint64_t stream;
    uint64_t first;             /* number of the first frame answered */
    const uint8_t *outputs;     /* k outputs, float32 little-endian; NULL when writing: the caller fills the gap itself */
    size_t n_bytes;
    uint64_t position;          /* t of the first of the k */
    uint64_t lag_us;            /* largest of the k */
    uint32_t warming;           /* how many of the k, from the first, are warming */
    struct attnp_time time;
};

/* As attnp_push_read. What the map does not say is 0. */
int attnp_output_read(struct attnp_output *output, const uint8_t *body, size_t n_body, struct attnp_error *error);

/* Bytes that attnp_output_write needs, length header included. */
size_t attnp_output_bytes(const struct attnp_output *output);

/* Writes the whole message; where output->outputs is NULL the n_bytes are left for the caller and *gap (if not NULL) is
 * set to their offset from the start of the message. Returns the length. */
size_t attnp_output_write(uint8_t *bytes, const struct attnp_output *output, size_t *gap);
