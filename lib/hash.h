/* SPDX-License-Identifier: MIT */
/* A 64-bit hash for telling models and options apart. It is no defence against somebody who wants a collision. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ATTN_HASH_START UINT64_C(0xcbf29ce484222325)

/* FNV-1a, 64 bits: the hash of what was hashed into `hash` so far (ATTN_HASH_START: nothing) followed by these bytes. */
static inline uint64_t attn_hash(uint64_t hash, const void *bytes, size_t n_bytes)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < n_bytes; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}
