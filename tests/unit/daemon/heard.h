/* SPDX-License-Identifier: MIT */
/* The messages that a client is sent, read as a client reads them: as text to be compared with, and one by one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"
#include "protocol/message.h"
#include "protocol/push.h"

enum heard_kind { HEARD_OUTPUT, HEARD_EVENT, HEARD_ERROR, HEARD_RESPONSE };

/* One message. The fields that its kind does not have are zeros. */
struct heard_message {
    enum heard_kind kind;
    uint64_t stream;               /* of outputs and events */
    struct attnp_output output;    /* its floats are in `bytes` */
    char event[32], reason[32];    /* of events */
    struct attnp_error error;      /* of ERROR, and of a RESPONSE that is one; else its code is 0 */
    uint32_t id;                   /* of responses */
    struct attnp_message message;  /* of all but outputs */
    const msgpack_object *content; /* of all but outputs: params, or result */
    uint8_t *bytes;                /* the body */
};

struct heard {
    size_t n;
    struct heard_message *messages;
    /* One line, a message behind each "; ": what, then stream:frame. Fields of value 0 that a message may leave out are
     * left out.
     *   output 1:7=2.5           the first float of frame 7's output, then " warming"
     *   dropped 1:7+3 late       three frames from 7 on; and skipped
     *   reset 1:7                the next frame; ended 1 killed: TEXT; superseded 1; idle 1 900 (ms); drain 5000 (ms)
     *   error bad_frame 1:7+3 expected 10
     *   response 5; response 5 denied
     */
    char *text;
};

/* Reads whole messages; the test fails where bytes are none. Owner: the caller, heard_done. */
void heard_read(struct heard *heard, const uint8_t *bytes, size_t n_bytes);
void heard_done(struct heard *heard);

/* The unsigned integer of this key of an event or a result; the test fails where there is none. */
uint64_t heard_uint(const struct heard_message *message, const char *key);

/* The i-th float of an output. */
float heard_float(const struct heard_message *message, size_t i);
