/* SPDX-License-Identifier: MIT */
/* The bounded scanner: proves, allocating nothing, that bytes are exactly one MessagePack value within the limits,
 * before msgpack-c (which trusts length headers) sees them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/errors.h"

/* 0 where bytes[0..n_bytes) are exactly one value of depth, element count and string length within limits.h; else -1
 * and *error with offset: bad_message (truncated, trailing bytes, reserved byte 0xc1, ext types) or limit_exceeded. */
int attnp_scan(const uint8_t *bytes, size_t n_bytes, struct attnp_error *error);
