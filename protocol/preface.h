/* SPDX-License-Identifier: MIT */
/* The preface, which a client sends once: "ATTN", version, k, k bytes of routing key. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"

struct attnp_preface {
    uint8_t version;
    uint8_t n_key;
    uint8_t key[ATTNP_MAX_KEY];
};

/* Reads a preface from the first n_bytes that have arrived. Returns its length; 0 where more bytes are needed (it fails
 * as early as a byte is wrong, so that HTTP is answered at its first byte); -1 and *error (bad_preface, bad_version)
 * with the offset. *preface is filled only once all of it is there. Any thread. */
int attnp_preface_read(struct attnp_preface *preface, const uint8_t *bytes, size_t n_bytes, struct attnp_error *error);

/* Writes a preface into ATTNP_MAX_PREFACE bytes of the caller and returns its length; n_key is at most ATTNP_MAX_KEY
 * (key NULL where 0). Any thread. */
size_t attnp_preface_write(uint8_t *bytes, const void *key, uint8_t n_key);
