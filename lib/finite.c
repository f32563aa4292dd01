/* SPDX-License-Identifier: MIT */
/* Whoever answers a frame asks this of the whole output, so all but the end is looked at in blocks that the compiler
 * makes vectors of. */
#include <stdint.h>
#include <string.h>

#include "attn/attn.h"

enum { BLOCK = 32 };

/* Whether the exponent has all its bits set: that of NaN and infinity. */
static uint32_t is_not_finite(const float *x)
{
    const uint32_t exponent = 0x7f800000;
    uint32_t bits;
    memcpy(&bits, x, sizeof(bits));
    return (bits & exponent) == exponent;
}

static uint32_t any_not_finite(const float x[static BLOCK])
{
    uint32_t any = 0;
    for (size_t i = 0; i < BLOCK; i++)
        any |= is_not_finite(x + i);
    return any;
}

size_t attn_first_not_finite(const float *x, size_t n)
{
    size_t i = 0;
    while (n - i >= BLOCK && !any_not_finite(x + i))
        i += BLOCK;
    while (i < n && !is_not_finite(x + i))
        i++;
    return i;
}
