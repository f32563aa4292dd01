/* SPDX-License-Identifier: MIT */
/* Powers of two for loops that the compiler turns into vectors: no tables, no branches, no errno. */
#pragma once

#include <stdint.h>
#include <string.h>

/* Below 2^this a weight counts as 0: beside a largest weight of at least ½ it is beyond float32 for any window, and no
 * product with a value becomes a slow denormal. */
#define ATTN_EXP2_LEAST (-100.0f)

/* Adding and taking away 1.5·2^23 rounds a float below 2^22 to the nearest integer. */
#define ATTN_ROUNDER 0x1.8p23f

/* 2^e for an integer e ≤ 0, exactly; 0 below 2^−126. */
static inline float attn_exp2_integer(float e)
{
    int32_t exponent = (int32_t)(e > -127.0f ? e : -127.0f);
    uint32_t bits = (uint32_t)(exponent + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof(power));
    return power;
}

/* 2^x for x ≤ 0, relative error below 1.2e-7; 0 below ATTN_EXP2_LEAST. x = e + f, |f| ≤ ½, and 2^f by its series: the
 * term after the last, (f ln 2)^8/8!, is at most 5.2e-9. The coefficients are (ln 2)^k/k!. */
static inline float attn_exp2(float x)
{
    float bounded = x > -127.0f ? x : -127.0f;
    float e = bounded + ATTN_ROUNDER - ATTN_ROUNDER;
    float f = bounded - e;
    float power = 1.5252734e-5f;
    power = power * f + 1.5403530e-4f;
    power = power * f + 1.3333558e-3f;
    power = power * f + 9.6181291e-3f;
    power = power * f + 5.5504109e-2f;
    power = power * f + 2.4022651e-1f;
    power = power * f + 6.9314718e-1f;
    power = power * f + 1.0f;
    return x < ATTN_EXP2_LEAST ? 0.0f : power * attn_exp2_integer(e);
}

/* The least integer not below x; floats of 2^23 and more are integers already, and need not fit an int32_t. */
static inline float attn_ceil(float x)
{
    float bounded = x < 0x1p23f && x > -0x1p23f ? x : 0.0f;
    float whole = (float)(int32_t)bounded;
    float up = whole < bounded ? whole + 1.0f : whole;
    return bounded == x ? up : x;
}
