/* SPDX-License-Identifier: MIT */
/* The integer offsets of aggregates (aggregate.h): rescaling by their differences is exact. */
#pragma once

#include <stdint.h>
#include <string.h>

/* 2^e for an integer e ≤ 0, exactly; 0 below 2^−126. */
static inline float attn_exp2_integer(float e)
{
    int32_t exponent = (int32_t)(e > -127.0f ? e : -127.0f);
    uint32_t bits = (uint32_t)(exponent + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof(power));
    return power;
}
