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
 * as early as a byte is wrong, so that HTTP is answered at its first byte); -1 and *error (bad_preface, bad_version). */
int attnp_preface_read(struct attnp_preface *preface, const uint8_t *bytes, size_t n_bytes, struct attnp_error *error);

/* Writes a preface (at most ATTNP_MAX_PREFACE bytes) and returns its length. */
size_t attnp_preface_write(uint8_t *bytes, const void *key, uint8_t n_key);
