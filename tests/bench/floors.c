/* SPDX-License-Identifier: MIT */
#include "floors.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"
#include "blas.h"
#include "clock.h"
#include "random.h"

#define PASSES_US 2e3 /* passes over a small working set are timed together until they take this long */
#define REPEATS   8

/* The compiler makes of it whatever the instruction set has: 1 to 4 vectors. */
typedef uint32_t wide __attribute__((vector_size(64)));
enum { ACCUMULATORS = 8 };

/* Σ of n wide words, n a multiple of ACCUMULATORS */
static inline __attribute__((always_inline)) uint32_t sum(const wide *words, size_t n)
{
    wide sums[ACCUMULATORS] = {{0}};
    uint32_t total = 0;
    for (size_t i = 0; i < n; i += ACCUMULATORS)
        for (size_t j = 0; j < ACCUMULATORS; j++)
            sums[j] += words[i + j];
    for (size_t j = 0; j < ACCUMULATORS; j++)
        total += sums[j][0] + sums[j][15];
    return total;
}

static uint32_t sum_plain(const wide *words, size_t n)
{
    return sum(words, n);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint32_t sum_avx2(const wide *words, size_t n)
{
    return sum(words, n);
}

__attribute__((target("avx512f"))) static uint32_t sum_avx512(const wide *words, size_t n)
{
    return sum(words, n);
}
#endif

typedef uint32_t summing(const wide *words, size_t n);

static summing *widest(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return sum_avx512;
    if (__builtin_cpu_supports("avx2"))
        return sum_avx2;
#endif
    return sum_plain;
}

static double passes_s(summing *read, const wide *words, size_t n, size_t passes)
{
    static volatile uint32_t sink;
    double start = bench_busy();
    for (size_t i = 0; i < passes; i++)
        sink = sink + read(words, n);
    return bench_busy() - start;
}

double bench_read_rate(size_t n_bytes)
{
    size_t n = n_bytes / (ACCUMULATORS * sizeof(wide)) * ACCUMULATORS;
    wide *words = aligned_alloc(ATTN_ALIGN, n * sizeof(wide));
    if (words == NULL)
        return NAN;
    memset(words, 1, n * sizeof(wide));
    summing *read = widest();
    size_t passes = (size_t)fmax(1, PASSES_US * 1e-6 / fmax(passes_s(read, words, n, 1), 1e-9));
    double best_s = INFINITY;
    for (int i = 0; i < REPEATS; i++)
        best_s = fmin(best_s, passes_s(read, words, n, passes) / (double)passes);
    free(words);
    return (double)(n * sizeof(wide)) / best_s;
}

/* Of square matrices. `memory` holds three of them. */
static double rate_of(size_t size, float *memory)
{
    float *x = memory, *w = x + size * size, *y = w + size * size;
    double best_s = INFINITY;
    for (int i = 0; i < REPEATS; i++) {
        double start = bench_busy();
        bench_blas_product(size, size, size, y, x, w);
        best_s = fmin(best_s, bench_busy() - start);
    }
    return 2 * pow((double)size, 3) / best_s;
}

double bench_product_rate(void)
{
    static const size_t sizes[] = {192, 384, 576, 768, 1024};
    enum { n_sizes = sizeof(sizes) / sizeof(sizes[0]) };
    size_t n = 3 * sizes[n_sizes - 1] * sizes[n_sizes - 1];
    float *memory = malloc(n * sizeof(float));
    double best = 0;
    if (memory == NULL || bench_blas_name() == NULL) {
        free(memory);
        return NAN;
    }
    bench_random(n, memory, 1, 1);
    for (size_t i = 0; i < n_sizes; i++)
        best = fmax(best, rate_of(sizes[i], memory));
    free(memory);
    return best;
}

double bench_floor_us(const struct bench_shape *shape, double product_rate, double read_rate)
{
    double n = (double)shape->n, m = (double)shape->m, d = (double)shape->d, h = (double)shape->heads, p = n / m;
    double operations = h * (12 * m * d + 2 * m * m + (8 * n * d + 48 * m * m * m) / p);
    double bytes = 4 * h * (5 * m * d + 2 * d + (2 * n * d + 2 * p * m * d + 2 * m * d) / p);
    return isnan(product_rate) ? NAN : 1e6 * fmax(operations / product_rate, bytes / read_rate);
}
