/* SPDX-License-Identifier: MIT */
/* Sixteen floats at once, with AVX-512 F, VL, DQ and BW. What the functions promise stands in vector_generic.h. */
#pragma once

#include <immintrin.h>
#include <stddef.h>

enum { WIDTH = 16, REGISTERS = 32 };

typedef __m512 vec;
typedef __m512d vec_wide;
typedef __mmask16 vec_mask;

static inline vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vec_store(float *p, vec x)
{
    _mm512_storeu_ps(p, x);
}

static inline __mmask16 vec_first(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vec vec_keep(vec x)
{
    __asm__("" : "+v"(x));
    return x;
}

static inline vec vec_load_part(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vec_first(n), p);
}

static inline void vec_store_part(float *p, vec x, size_t n)
{
    _mm512_mask_storeu_ps(p, vec_first(n), x);
}

static inline vec vec_set(float a)
{
    return _mm512_set1_ps(a);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec vec_abs(vec x)
{
    return _mm512_abs_ps(x);
}

static inline vec_mask vec_less(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline vec vec_select(vec_mask mask, vec a, vec b)
{
    return _mm512_mask_blend_ps(mask, b, a);
}

static inline vec vec_ceil(vec x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

static inline vec vec_power(vec e)
{
    __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(e), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
}

static inline vec vec_scaled(vec x, vec e)
{
    __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(e), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), exponent));
}

static inline vec_wide vec_low(vec x)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(x));
}

static inline vec_wide vec_high(vec x)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
}

static inline float vec_sum(vec x)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vec_largest(vec x)
{
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* In 128 bits each: the halves of a and of b added, a0+a2 a1+a3 b0+b2 b1+b3. */
static inline vec vec_halves(vec a, vec b)
{
    return _mm512_shuffle_ps(a, b, 0x44) + _mm512_shuffle_ps(a, b, 0xee);
}

/* The quarters of one vector for rows r, r + 4, r + 8 and r + 12. */
static inline vec vec_four_rows(const vec *x)
{
    vec a = _mm512_shuffle_f32x4(x[0], x[4], 0x44) + _mm512_shuffle_f32x4(x[0], x[4], 0xee);
    vec b = _mm512_shuffle_f32x4(x[8], x[12], 0x44) + _mm512_shuffle_f32x4(x[8], x[12], 0xee);
    return _mm512_shuffle_f32x4(a, b, 0x88) + _mm512_shuffle_f32x4(a, b, 0xdd);
}

static inline vec vec_sums(const vec x[WIDTH])
{
    vec a = vec_halves(vec_four_rows(x), vec_four_rows(x + 1));
    vec b = vec_halves(vec_four_rows(x + 2), vec_four_rows(x + 3));
    return _mm512_shuffle_ps(a, b, 0x88) + _mm512_shuffle_ps(a, b, 0xdd);
}
