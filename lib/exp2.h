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

/* The least integer not below x; floats of 2^23 and more are integers already, and need not fit an int32_t. */
static inline float attn_ceil(float x)
{
    float bounded = x < 0x1p23f && x > -0x1p23f ? x : 0.0f;
    float whole = (float)(int32_t)bounded;
    float up = whole < bounded ? whole + 1.0f : whole;
    return bounded == x ? up : x;
}
