/* SPDX-License-Identifier: MIT */
/* A client from the inside: the connection, its streams, and what they do for each other. */
#pragma once

#include <stdbool.h>

#include "attnc/client.h"
#include "libattnclient/connection.h"
#include "libattnclient/request.h"
#include "libattnclient/streams.h"

/* Whom a stream tells; the functions may be NULL. */
struct attnc_listener {
    void (*on_output)(void *ctx, const struct attnc_output *output);
    void (*on_notice)(void *ctx, const struct attnc_notice *notice);
    void *ctx;
};

struct attnc_stream {
    struct attnc_client *client;
    struct attnc_stream_info info;
    char **labels;          /* [info.n_labels] */
    float *values;          /* [output_dim] one output, aligned */
    bool rewound;           /* frames were not taken since the last push; `why` tells */
    struct attnc_error why; /* of `rewound` and of info.ended */
    /* The frame that the daemon expected when the stream was attached, and the position that it said this frame had. */
    uint64_t resumed_frame, resumed_position;
    struct attnc_listener listener;
};

struct attnc_client {
    struct attnc_connection connection;
    struct attnc_error error;     /* of the last failure */
    size_t max_message;           /* longest body that the daemon takes, bytes */
    uint32_t call_ms;             /* longest time of a call in all */
    struct attnc_stream *awaited; /* whose frames bring what a call waits for nearer; NULL: no stream's */
    struct attnc_streams streams;
    struct attnc_request request;
    uint8_t *push_bytes; /* [push_capacity] the message being pushed */
    size_t push_capacity;
    msgpack_sbuffer result; /* what attnc_call returned last */
    char server[64];
    void (*on_notice)(void *ctx, const struct attnc_notice *notice);
    void *ctx;
};

/* Takes one message of the daemon's: outputs and notices go to their callbacks, the response is kept (an
 * attnc_take_fn). */
int attnc_dispatch(void *ctx, const uint8_t *body, size_t n_body);

/* Makes a stream of the answer to open or attach, and enters it into the client's table. Errors: ATTNC_E_PROTOCOL,
 * _MEMORY. */
int attnc_stream_opened(struct attnc_client *client, struct attnc_stream **stream,
                        const struct attnc_listener *listener);

/* From here on the stream takes no frames; `reason` and `message` ("" for none) are those of the event `ended`, or the
 * reason is "superseded". */
void attnc_stream_end(struct attnc_stream *stream, const char *reason, const char *message);

/* Takes a stream out of the client's table and frees it. */
void attnc_stream_leave(struct attnc_stream *stream);

/* Frees a stream that is in no table (any more); NULL is allowed. */
void attnc_stream_free(struct attnc_stream *stream);
