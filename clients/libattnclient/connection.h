/* SPDX-License-Identifier: MIT */
/* A socket and the bytes on it: whole messages in and out, reading whenever it waits. It knows no method, no stream. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attnc/client.h"

/* Takes one whole message body. 0; 1: the messages behind it are left for the next call; or ATTNC_E_… to end the wait
 * with (the error is filled by the taker). */
typedef int attnc_take_fn(void *ctx, const uint8_t *body, size_t n_body);

struct attnc_connection {
    int descriptor;      /* non-blocking; −1: none */
    uint32_t silence_ms; /* longest wait with nothing coming in */
    uint32_t limit_ms;   /* longest time of all waits for `awaited` together, whatever comes meanwhile; 0: none */
    uint64_t deadline;   /* end of that time, by attnc_connection_now_ms(); 0: no wait has begun */
    const char *awaited; /* name of what is waited for, in errors; static */
    size_t max_message;  /* longest body taken, bytes */
    uint8_t *bytes;      /* [capacity] what has been read: [begin, end) is not taken yet */
    size_t begin, end, capacity;
    attnc_take_fn *take;
    void *ctx;                   /* of take */
    struct attnc_error *error;   /* the owner's; filled on failure */
    struct attnc_error lost;     /* the failure after which the connection is of no more use; result 0: none yet */
    struct attnc_error farewell; /* why the daemon is about to end the connection; result 0: it has not said */
};

/* Starts without a socket, on the caller's memory. */
void attnc_connection_init(struct attnc_connection *connection, struct attnc_error *error, attnc_take_fn *take,
                           void *ctx);

/* Closes the socket and frees the buffer. */
void attnc_connection_done(struct attnc_connection *connection);

/* Connects to a Unix socket within limit_ms, which counts from here. ATTNC_E_CONNECT, _TIMEOUT, _OPTIONS (path too
 * long). */
int attnc_connection_open(struct attnc_connection *connection, const char *path);

/* Milliseconds of a clock that only goes forwards. */
uint64_t attnc_connection_now_ms(void);

/* From the next wait on all waits together may take limit_ms (0: any time), until this is called again. `awaited` names
 * what is waited for; static. A call that never waits reads no clock. */
void attnc_connection_limit(struct attnc_connection *connection, uint32_t limit_ms, const char *awaited);

/* What is waited for has come nearer: its time begins anew with the next wait. */
void attnc_connection_restart(struct attnc_connection *connection);

/* Time since began_ms was the caller's own, and does not count. */
void attnc_connection_excuse(struct attnc_connection *connection, uint64_t began_ms);

/* After a failure of one of these two both fail with the same error, at once: half a message may have been sent, or not
 * have been understood.
 *
 * Sends all n bytes, and reads and hands up whatever comes while it waits. */
int attnc_connection_send(struct attnc_connection *connection, const void *bytes, size_t n);

/* Hands up the messages that have come; waits for at least some bytes up to timeout_ms (−1: silence_ms, and then
 * ATTNC_E_TIMEOUT). 1 where bytes came, 0 where the time was up. */
int attnc_connection_receive(struct attnc_connection *connection, int timeout_ms);
