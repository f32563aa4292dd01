/* SPDX-License-Identifier: MIT */
/* The writing cursor: MessagePack values in their shortest encoding, into the caller's bytes. Without bytes it only
 * counts, so that one function both measures and writes a message. Private to protocol/. Any thread; one pen, one user. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attnp_pen {
    uint8_t *bytes;             /* the caller's; NULL: only count */
    size_t n_bytes;             /* room */
    size_t at;                  /* bytes written or counted */
    bool failed;                /* sticky: the room was too small, and nothing more is written */
};

/* bytes NULL: counts without a bound. */
void attnp_pen_init(struct attnp_pen *pen, uint8_t *bytes, size_t n_bytes);

/* n raw bytes; data NULL leaves them as they are. */
void attnp_pen_raw(struct attnp_pen *pen, const void *data, size_t n);
void attnp_pen_be32(struct attnp_pen *pen, uint32_t value);
void attnp_pen_uint(struct attnp_pen *pen, uint64_t value);
void attnp_pen_string(struct attnp_pen *pen, const char *terminated);  /* shorter than 32 bytes */
void attnp_pen_bin(struct attnp_pen *pen, uint32_t n);                  /* the head: n raw bytes follow */
void attnp_pen_array(struct attnp_pen *pen, uint8_t n);                 /* the head: n < 16 values follow */
void attnp_pen_map(struct attnp_pen *pen, uint8_t n);                   /* the head: n < 16 pairs follow */
