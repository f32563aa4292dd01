/* SPDX-License-Identifier: MIT */
/* Bytes for tests, written so that a reader sees the message: `'push'` is a short MessagePack string, the rest is
 * hexadecimal. */
#pragma once

#include <check.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    size_t n;
    uint8_t at[65536];
};

static inline void add_raw(struct bytes *bytes, const void *data, size_t n)
{
    ck_assert_uint_le(n, sizeof(bytes->at) - bytes->n);
    memcpy(bytes->at + bytes->n, data, n);
    bytes->n += n;
}

static inline void add_byte(struct bytes *bytes, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    add_raw(bytes, &byte, 1);
}

static inline void add_fill(struct bytes *bytes, unsigned value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_byte(bytes, value);
}

static inline void add(struct bytes *bytes, const char *text)
{
    while (*text) {
        if (isspace((unsigned char)*text)) {
            text++;
        } else if (*text == '\'') {
            size_t n = strcspn(text + 1, "'");
            add_byte(bytes, 0xa0 | (unsigned)n);
            add_raw(bytes, text + 1, n);
            text += n + 2;
        } else {
            char digits[3] = {text[0], text[1], 0};
            add_byte(bytes, (unsigned)strtoul(digits, NULL, 16));
            text += 2;
        }
    }
}

/* The bytes of `text` in static memory, which the next call takes again. */
static inline struct bytes *bytes_of(const char *text)
{
    static struct bytes bytes;
    bytes.n = 0;
    add(&bytes, text);
    return &bytes;
}

/* A copy with nothing behind it that an overrun could read unseen by the address sanitizer. Free it. */
static inline uint8_t *tight(const void *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, n);
    return copy;
}
