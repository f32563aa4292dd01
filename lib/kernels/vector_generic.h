/* SPDX-License-Identifier: MIT */
/*
 * Four floats at once, in the vectors of GNU C, for any machine. Every vector_*.h has the same functions, on a `vec` of
 * WIDTH floats of which the machine holds REGISTERS, and the operators + − · / on it. The bodies are compiled with
 * -ffp-contract=off: a product and a sum are one rounding where vec_fma says so and two otherwise, never as the
 * compiler likes. Only here is vec_fma two roundings.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WIDTH = 4, REGISTERS = 16 };

typedef float vec __attribute__((vector_size(16)));
typedef double vec_wide __attribute__((vector_size(16)));
typedef int32_t vec_mask __attribute__((vector_size(16)));

/* WIDTH floats at any address. */
static inline vec vec_load(const float *p)
{
    vec x;
    memcpy(&x, p, sizeof(x));
    return x;
}

static inline void vec_store(float *p, vec x)
{
    memcpy(p, &x, sizeof(x));
}

/* x, in a register: for what is used several times, which a compiler may otherwise load each time. */
static inline vec vec_keep(vec x)
{
    return x;
}

/* The first n < WIDTH floats at p and zeros; nothing beyond them is touched. */
static inline vec vec_load_part(const float *p, size_t n)
{
    vec x = {0};
    memcpy(&x, p, n * sizeof(float));
    return x;
}

static inline void vec_store_part(float *p, vec x, size_t n)
{
    memcpy(p, &x, n * sizeof(float));
}

static inline vec vec_set(float a)
{
    return (vec){a, a, a, a};
}

/* a · b + c */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return a * b + c;
}

static inline vec_mask vec_less(vec a, vec b)
{
    return (vec_mask)(a < b);
}

/* a where the mask is set, b elsewhere */
static inline vec vec_select(vec_mask mask, vec a, vec b)
{
    return (vec)(((vec_mask)a & mask) | ((vec_mask)b & ~mask));
}

/* The larger and the smaller one; b where one of them is NaN */
static inline vec vec_max(vec a, vec b)
{
    return vec_select(vec_less(b, a), a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return vec_select(vec_less(a, b), a, b);
}

static inline vec vec_abs(vec x)
{
    return (vec)((vec_mask)x & 0x7fffffff);
}

/* The least integer not below x; floats of 2^23 and more are integers already. */
static inline vec vec_ceil(vec x)
{
    vec_mask small = vec_less(vec_abs(x), vec_set(0x1p23f));
    vec_mask integer = __builtin_convertvector(vec_select(small, x, vec_set(0.0f)), vec_mask);
    vec whole = __builtin_convertvector(integer, vec);
    return vec_select(small, whole + vec_select(vec_less(whole, x), vec_set(1.0f), vec_set(0.0f)), x);
}

/* 2^e for integers e of −127 … 127, exactly; 0 for −127 */
static inline vec vec_power(vec e)
{
    return (vec)((__builtin_convertvector(e, vec_mask) + 127) << 23);
}

/* x · 2^e, exactly, with e given as e + 1.5·2^23, whose lowest bits it is; x, 2^e and the result are not 0 and not
 * denormal. */
static inline vec vec_scaled(vec x, vec e)
{
    typedef uint32_t bits __attribute__((vector_size(16)));
    return (vec)((bits)x + ((bits)e << 23));
}

/* The two halves as doubles. */
static inline vec_wide vec_low(vec x)
{
    return (vec_wide){x[0], x[1]};
}

static inline vec_wide vec_high(vec x)
{
    return (vec_wide){x[2], x[3]};
}

/* The sum and the maximum of all lanes, of which halves are put together until one is left; no NaN for the maximum. */
static inline float vec_sum(vec x)
{
    return (x[0] + x[2]) + (x[1] + x[3]);
}

static inline float vec_largest(vec x)
{
    float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
    return a > b ? a : b;
}

/* The sums of WIDTH vectors, each with the bits of vec_sum */
static inline vec vec_sums(const vec x[WIDTH])
{
    vec a = {x[0][0], x[0][1], x[1][0], x[1][1]}, b = {x[0][2], x[0][3], x[1][2], x[1][3]};
    vec c = {x[2][0], x[2][1], x[3][0], x[3][1]}, d = {x[2][2], x[2][3], x[3][2], x[3][3]};
    vec ab = a + b, cd = c + d;
    return (vec){ab[0], ab[2], cd[0], cd[2]} + (vec){ab[1], ab[3], cd[1], cd[3]};
}
