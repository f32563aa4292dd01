/* SPDX-License-Identifier: MIT */
/* An allocator that fails when it is told to, for one file of a program that is linked with --wrap for each of the four
 * functions below. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

/* Allocations that still succeed; behind those one fails, or all. LONG_MAX: none does. */
static long failing_after = LONG_MAX;
static bool failing_for_good;

static bool failing_now(void)
{
    if (failing_after == LONG_MAX)
        return false;
    if (failing_after > 0) {
        failing_after--;
        return false;
    }
    if (!failing_for_good)
        failing_after = LONG_MAX;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);

void *__wrap_malloc(size_t n)
{
    return failing_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return failing_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t n)
{
    return failing_now() ? NULL : __real_realloc(memory, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return failing_now() ? NULL : __real_aligned_alloc(alignment, n);
}
