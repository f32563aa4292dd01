/* SPDX-License-Identifier: MIT */
#include "protocol/preface.h"

#include <string.h>

#include "protocol/pen.h"

static const uint8_t magic[4] = {'A', 'T', 'T', 'N'};

/* What else people point at a socket, by its first byte. */
static const char *guess(uint8_t first)
{
    if (first == 0x16)
        return " (TLS? attnd speaks none)";
    if (first && strchr("GPHDOC", first))
        return " (HTTP? attnd speaks none)";
    return first == 'R' ? " (a WAV file? use attnctl stream)" : "";
}

int attnp_preface_read(struct attnp_preface *preface, const uint8_t *bytes, size_t n_bytes, struct attnp_error *error)
{
    for (size_t i = 0; i < n_bytes && i < sizeof(magic); i++) {
        if (bytes[i] == magic[i])
            continue;
        return attnp_fail_at(error, ATTNP_BAD_PREFACE, i,
                             "byte %zu is 0x%02x%s, but a connection begins with \"ATTN\", version and routing key", i,
                             bytes[i], i == 0 ? guess(bytes[0]) : "");
    }
    if (n_bytes > 4 && bytes[4] != ATTNP_VERSION)
        return attnp_fail_at(error, ATTNP_BAD_VERSION, 4,
                             "the preface asks for version %u, but only version %d is spoken here", bytes[4],
                             ATTNP_VERSION);
    if (n_bytes > 5 && bytes[5] > ATTNP_MAX_KEY)
        return attnp_fail_at(error, ATTNP_BAD_PREFACE, 5, "a routing key of %u bytes: the limit is %d", bytes[5],
                             ATTNP_MAX_KEY);
    if (n_bytes < 6 || n_bytes < 6u + bytes[5])
        return 0;
    *preface = (struct attnp_preface){.version = bytes[4], .n_key = bytes[5]};
    memcpy(preface->key, bytes + 6, preface->n_key);
    return 6 + preface->n_key;
}

size_t attnp_preface_write(uint8_t *bytes, const void *key, uint8_t n_key)
{
    const uint8_t tail[2] = {ATTNP_VERSION, n_key};
    struct attnp_pen pen;
    attnp_pen_init(&pen, bytes, ATTNP_MAX_PREFACE);
    attnp_pen_raw(&pen, magic, sizeof(magic));
    attnp_pen_raw(&pen, tail, sizeof(tail));
    if (n_key > 0)
        attnp_pen_raw(&pen, key, n_key);
    return pen.at;
}
