/* SPDX-License-Identifier: MIT */
/* Four floats at once, with the vectors that every AArch64 has. What the functions promise stands in vector_generic.h.
 */
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <string.h>

enum { WIDTH = 4, REGISTERS = 32 };

typedef float32x4_t vec;
typedef float64x2_t vec_wide;
typedef uint32x4_t vec_mask;

static inline vec vec_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void vec_store(float *p, vec x)
{
    vst1q_f32(p, x);
}

static inline vec vec_keep(vec x)
{
    __asm__("" : "+w"(x));
    return x;
}

static inline vec vec_load_part(const float *p, size_t n)
{
    float lanes[4] = {0};
    memcpy(lanes, p, n * sizeof(float));
    return vld1q_f32(lanes);
}

static inline void vec_store_part(float *p, vec x, size_t n)
{
    float lanes[4];
    vst1q_f32(lanes, x);
    memcpy(p, lanes, n * sizeof(float));
}

static inline vec vec_set(float a)
{
    return vdupq_n_f32(a);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b); /* the instruction for it keeps NaNs */
}

static inline vec vec_min(vec a, vec b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline vec vec_abs(vec x)
{
    return vabsq_f32(x);
}

static inline vec_mask vec_less(vec a, vec b)
{
    return vcltq_f32(a, b);
}

static inline vec vec_select(vec_mask mask, vec a, vec b)
{
    return vbslq_f32(mask, a, b);
}

static inline vec vec_ceil(vec x)
{
    return vrndpq_f32(x);
}

static inline vec vec_power(vec e)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(e), vdupq_n_s32(127)), 23));
}

static inline vec vec_scaled(vec x, vec e)
{
    uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(e), 23);
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(x), exponent));
}

static inline vec_wide vec_low(vec x)
{
    return vcvt_f64_f32(vget_low_f32(x));
}

static inline vec_wide vec_high(vec x)
{
    return vcvt_high_f64_f32(x);
}

static inline float vec_sum(vec x)
{
    float32x2_t two = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static inline float vec_largest(vec x)
{
    float32x2_t two = vmax_f32(vget_low_f32(x), vget_high_f32(x));
    float a = vget_lane_f32(two, 0), b = vget_lane_f32(two, 1);
    return a > b ? a : b;
}

/* The halves of a and of b added: a0+a2 a1+a3 b0+b2 b1+b3 */
static inline vec vec_halves(vec a, vec b)
{
    return vcombine_f32(vget_low_f32(a), vget_low_f32(b)) + vcombine_f32(vget_high_f32(a), vget_high_f32(b));
}

static inline vec vec_sums(const vec x[WIDTH])
{
    return vpaddq_f32(vec_halves(x[0], x[1]), vec_halves(x[2], x[3]));
}
