/* SPDX-License-Identifier: MIT */
/* Eight floats at once, with AVX2 and FMA. What the functions promise stands in vector_generic.h. */
#pragma once

#include <immintrin.h>
#include <stddef.h>

enum { WIDTH = 8, REGISTERS = 16 };

typedef __m256 vec;
typedef __m256d vec_wide;
typedef __m256 vec_mask;

static inline vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vec_store(float *p, vec x)
{
    _mm256_storeu_ps(p, x);
}

static inline __m256i vec_first(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vec vec_keep(vec x)
{
    __asm__("" : "+x"(x));
    return x;
}

static inline vec vec_load_part(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, vec_first(n));
}

static inline void vec_store_part(float *p, vec x, size_t n)
{
    _mm256_maskstore_ps(p, vec_first(n), x);
}

static inline vec vec_set(float a)
{
    return _mm256_set1_ps(a);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

static inline vec vec_abs(vec x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static inline vec_mask vec_less(vec a, vec b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

static inline vec vec_select(vec_mask mask, vec a, vec b)
{
    return _mm256_blendv_ps(b, a, mask);
}

static inline vec vec_ceil(vec x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

static inline vec vec_power(vec e)
{
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(e), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

static inline vec vec_scaled(vec x, vec e)
{
    __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(e), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent));
}

static inline vec_wide vec_low(vec x)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(x));
}

static inline vec_wide vec_high(vec x)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
}

static inline float vec_sum(vec x)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vec_largest(vec x)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* In 128 bits each: the halves of a and of b added, a0+a2 a1+a3 b0+b2 b1+b3. */
static inline vec vec_halves(vec a, vec b)
{
    return _mm256_shuffle_ps(a, b, 0x44) + _mm256_shuffle_ps(a, b, 0xee);
}

/* Those of rows r and r + 4 in the halves of one vector, then of four rows, then of all eight. */
static inline vec vec_sums(const vec x[WIDTH])
{
    vec two[4];
    for (size_t r = 0; r < 4; r++)
        two[r] = _mm256_permute2f128_ps(x[r], x[r + 4], 0x20) + _mm256_permute2f128_ps(x[r], x[r + 4], 0x31);
    vec a = vec_halves(two[0], two[1]), b = vec_halves(two[2], two[3]);
    return _mm256_shuffle_ps(a, b, 0x88) + _mm256_shuffle_ps(a, b, 0xdd);
}
