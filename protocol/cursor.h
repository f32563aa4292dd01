/* SPDX-License-Identifier: MIT */
/* The reading cursor: bounded steps through MessagePack bytes that nobody vouches for, with a sticky error. It
 * allocates nothing, never reads past its bytes, and knows no message. Private to protocol/. Any thread; one cursor,
 * one user. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attnp_cursor {
    const uint8_t *bytes;       /* the caller's */
    size_t n_bytes;
    size_t at;                  /* offset of the next byte; after a failure that of the value that could not be read */
    bool failed;                /* sticky: every later call fails as well and moves nothing */
};

enum attnp_type {
    ATTNP_TYPE_NONE,            /* the cursor failed: the bytes end within the value */
    ATTNP_TYPE_NIL,
    ATTNP_TYPE_BOOL,
    ATTNP_TYPE_UINT,            /* an integer of 0 or more, however it was encoded */
    ATTNP_TYPE_INT,             /* a negative integer */
    ATTNP_TYPE_FLOAT,
    ATTNP_TYPE_STR,
    ATTNP_TYPE_BIN,
    ATTNP_TYPE_ARRAY,
    ATTNP_TYPE_MAP,
    ATTNP_TYPE_EXT,
    ATTNP_TYPE_RESERVED         /* the byte 0xc1, which MessagePack never uses */
};

/* The head of one value: everything but the bytes of a string or bin and the values within an array or map. */
struct attnp_head {
    enum attnp_type type;
    uint64_t n;                 /* the integer (two's complement), the boolean, the float's bits; or how many bytes, values or
                                   pairs follow */
    size_t at;                  /* offset of the value */
};

/* "a string": a type in an error message. */
const char *attnp_type_text(enum attnp_type type);

void attnp_cursor_init(struct attnp_cursor *cursor, const uint8_t *bytes, size_t n_bytes);

/* The head of the next value, numbers included; the cursor then stands behind it. */
struct attnp_head attnp_cursor_head(struct attnp_cursor *cursor);

/* The next n bytes in place, or NULL (failed). */
const uint8_t *attnp_cursor_take(struct attnp_cursor *cursor, uint64_t n);

/* Whether the value of this head, just read, is the string `text`; the cursor then stands behind the value, whatever it
 * was. */
bool attnp_cursor_string_is(struct attnp_cursor *cursor, struct attnp_head head, const char *text);

/* Steps over what follows a head: the bytes of a string or bin, or all values within an array or map. Iterative, time
 * linear in the bytes. Returns false where the bytes end before. */
bool attnp_cursor_skip_rest(struct attnp_cursor *cursor, struct attnp_head head);

/* Steps over n whole values. */
bool attnp_cursor_skip(struct attnp_cursor *cursor, uint64_t n);
