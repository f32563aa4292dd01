/* SPDX-License-Identifier: MIT */
/* The bytes that wait to be sent to one client: messages are appended while earlier ones are on their way, and many
 * leave in one write. It knows no messages. All functions: the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct outbox {
    uv_write_t write; /* first: the callback finds the outbox by it */
    uv_stream_t *to;
    uint8_t *filling, *flying; /* the second belongs to libuv while is_flying */
    size_t n_filling, n_flying, room_filling, room_flying;
    uint64_t n_added; /* in all */
    bool is_flying;
    void (*sent)(struct outbox *outbox, int status); /* a write that had to wait has ended; status as of libuv */
};

void outbox_init(struct outbox *outbox, uv_stream_t *to, void (*sent)(struct outbox *outbox, int status));
void outbox_done(struct outbox *outbox); /* where nothing is flying; it may be used again */

/* Room for both buffers, so that sending up to n_bytes at once allocates nothing later. 0, or -1: no memory. */
int outbox_reserve(struct outbox *outbox, size_t n_bytes);

/* The room of its buffers, and how much of it outbox_reserve and outbox_add would make anew for so many bytes. */
size_t outbox_room(const struct outbox *outbox);
size_t outbox_reserve_takes(const struct outbox *outbox, size_t n_bytes);
size_t outbox_add_takes(const struct outbox *outbox, size_t n_bytes);

/* Where the next n_bytes are to be written; NULL: no memory. They count once outbox_added was called. */
uint8_t *outbox_add(struct outbox *outbox, size_t n_bytes);
void outbox_added(struct outbox *outbox, size_t n_bytes);

/* Bytes not yet taken by the kernel, as far as is known. */
size_t outbox_bytes(const struct outbox *outbox);

/* Bytes taken by the kernel so far: rises only as the client reads, once the socket's own buffer is full. */
uint64_t outbox_sent(const struct outbox *outbox);

/* Sends what it can; the rest goes when the client reads, and `sent` is called. 0, or libuv's error: the connection
 * broke. */
int outbox_flush(struct outbox *outbox);
