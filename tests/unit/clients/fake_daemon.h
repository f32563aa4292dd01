/* SPDX-License-Identifier: MIT */
/* A daemon that follows a script: a thread behind a socket in a temporary folder, to show a client what no daemon
 * should do. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/push.h"
#include "protocol/writer.h"

#define FAKE_STREAM 7
#define FAKE_TOKEN  "0123456789abcdef" /* 16 bytes */

/* For a client to wait for a fake daemon, whose thread may be held up. */
#define FAKE_PATIENCE_MS 600000

struct fake {
    char folder[64], path[96];
    int listener, socket; /* −1: none */
    pthread_t thread;
    void (*script)(struct fake *fake);
    struct attnp_writer writer;
    uint8_t *message; /* [4 + n_body] the last one read */
    size_t n_body;
    bool has_request;
    struct attnp_message request; /* the last one read by fake_request; into: */
    uint8_t *request_bytes;
    uint32_t output_dim;
    uint64_t most_unsettled; /* for scripts that count */
    bool failed;             /* the client did what it may not */
};

/* Listens, and runs the script on a thread of its own. The socket is closed when the script returns. */
void fake_start(struct fake *fake, void (*script)(struct fake *fake));

/* Waits for the script, and removes the folder. */
void fake_stop(struct fake *fake);

/* Everything below is for scripts. */

/* Accepts, and answers preface and hello. */
void fake_greet(struct fake *fake);

/* The same, and answers open: stream FAKE_STREAM. */
void fake_open(struct fake *fake, uint32_t input_dim, uint32_t output_dim, uint32_t credit);

/* Accepts, and reads the preface. */
void fake_accept(struct fake *fake);

/* Reads a message into fake->message; false at the end of the connection. */
bool fake_read(struct fake *fake);

/* Reads a request of this method into fake->request, and returns its id. Anything else is a failure. */
uint32_t fake_request(struct fake *fake, enum attnp_method method);

/* Reads a push of any length. Anything else is a failure, and false. */
bool fake_push(struct fake *fake, struct attnp_push *push);

void fake_send(struct fake *fake, const void *bytes, size_t n);

/* Sends the message that was written to fake->writer. */
void fake_send_written(struct fake *fake);

/* Answers open or attach in full: stream FAKE_STREAM, token FAKE_TOKEN, one float in and one out, credit 8. */
void fake_describe(struct fake *fake, uint32_t id, uint64_t next_frame, uint64_t position);

/* The same as fake_open, described so. */
void fake_open_full(struct fake *fake, uint64_t next_frame, uint64_t position);

/* Whether the last request has exactly n parameters; and the integer, -1 where there is none of this name. */
bool fake_has_params(const struct fake *fake, uint32_t n);
int64_t fake_param(const struct fake *fake, const char *key);

/* Answers a request with an empty map. */
void fake_respond(struct fake *fake, uint32_t id);

/* One message of k outputs from frame `first` on; each value is the number of its frame. */
void fake_output(struct fake *fake, uint64_t first, uint32_t k);

/* The event `ended` with what an operator says. */
void fake_kill(struct fake *fake, const char *message);

/* An event that names frames, `count` 0 for none. */
void fake_event(struct fake *fake, const char *event, const char *reason, uint64_t first, uint64_t count);
