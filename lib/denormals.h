/* SPDX-License-Identifier: MIT */
/* Numbers below 2^-126 count as 0 while a frame is computed: the processor takes a hundred times as long for them, and
 * a stream of near silence would take the time of all others. The mode is the thread's own, and is given back. Nothing
 * is done where the processor has no such mode here. */
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#define ATTN_FLUSHES_DENORMALS 1
#elif defined(__aarch64__)
#define ATTN_FLUSHES_DENORMALS 1
#else
#define ATTN_FLUSHES_DENORMALS 0
#endif

#if defined(__x86_64__)

/* Turns the mode on; returns what attn_denormals_restore takes. */
static inline uint64_t attn_denormals_flush(void)
{
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* of MXCSR: results (FTZ, bit 15) and operands (DAZ, bit 6) */
    return before;
}

static inline void attn_denormals_restore(uint64_t before)
{
    _mm_setcsr((_mm_getcsr() & ~0x8040u) |
               ((unsigned)before & 0x8040u)); /* exceptions that were raised meanwhile stay raised */
}

#elif defined(__aarch64__)

static inline uint64_t attn_denormals_flush(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (UINT64_C(1) << 24))); /* FZ: results and operands */
    return before;
}

static inline void attn_denormals_restore(uint64_t before)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
}

#else

static inline uint64_t attn_denormals_flush(void)
{
    return 0;
}

static inline void attn_denormals_restore(uint64_t before)
{
    (void)before;
}

#endif
