/* SPDX-License-Identifier: MIT */
#include "protocol/pen.h"

#include <assert.h>
#include <string.h>

void attnp_pen_init(struct attnp_pen *pen, uint8_t *bytes, size_t n_bytes)
{
    *pen = (struct attnp_pen){.bytes = bytes, .n_bytes = bytes ? n_bytes : SIZE_MAX};
}

void attnp_pen_raw(struct attnp_pen *pen, const void *data, size_t n)
{
    if (pen->failed || n > pen->n_bytes - pen->at) {
        pen->failed = true;
        return;
    }
    if (pen->bytes && data && n > 0)
        memcpy(pen->bytes + pen->at, data, n);
    pen->at += n;
}

/* A head byte and n_number bytes of big-endian number. */
static void write_head(struct attnp_pen *pen, uint8_t head, uint64_t number, unsigned n_number)
{
    uint8_t bytes[9] = {head};
    for (unsigned i = 0; i < n_number; i++)
        bytes[1 + i] = (uint8_t)(number >> 8 * (n_number - 1 - i));
    attnp_pen_raw(pen, bytes, 1 + n_number);
}

void attnp_pen_be32(struct attnp_pen *pen, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    attnp_pen_raw(pen, bytes, sizeof(bytes));
}

void attnp_pen_uint(struct attnp_pen *pen, uint64_t value)
{
    if (value < 0x80)
        write_head(pen, (uint8_t)value, 0, 0);
    else if (value <= UINT8_MAX)
        write_head(pen, 0xcc, value, 1);
    else if (value <= UINT16_MAX)
        write_head(pen, 0xcd, value, 2);
    else if (value <= UINT32_MAX)
        write_head(pen, 0xce, value, 4);
    else
        write_head(pen, 0xcf, value, 8);
}

void attnp_pen_string(struct attnp_pen *pen, const char *terminated)
{
    size_t n = strlen(terminated);
    assert(n < 32);
    write_head(pen, (uint8_t)(0xa0 | n), 0, 0);
    attnp_pen_raw(pen, terminated, n);
}

void attnp_pen_bin(struct attnp_pen *pen, uint32_t n)
{
    if (n <= UINT8_MAX)
        write_head(pen, 0xc4, n, 1);
    else if (n <= UINT16_MAX)
        write_head(pen, 0xc5, n, 2);
    else
        write_head(pen, 0xc6, n, 4);
}

void attnp_pen_array(struct attnp_pen *pen, uint8_t n)
{
    assert(n < 16);
    write_head(pen, 0x90 | n, 0, 0);
}

void attnp_pen_map(struct attnp_pen *pen, uint8_t n)
{
    assert(n < 16);
    write_head(pen, 0x80 | n, 0, 0);
}
