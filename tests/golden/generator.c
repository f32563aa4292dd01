/* SPDX-License-Identifier: MIT */
#include "generator.h"

#include <math.h>
#include <string.h>

enum kind { NOISE, OUTLIERS, CONSTANT, ZEROS, REPEATS };

enum { OUTLIER = 30, FRAMES_AN_OUTLIER = 20, REPETITIONS = 5 };

/* The finaliser of splitmix64. Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Number `counter` of the series `series`. */
static uint64_t draw(const struct generator *generator, uint64_t series, uint64_t counter)
{
    return mix(mix(generator->seed * 5 + series) + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* Half of the blocks are noise; the first is. */
static enum kind kind_of(const struct generator *generator, uint64_t block)
{
    const enum kind kinds[] = {OUTLIERS, CONSTANT, ZEROS, REPEATS};
    uint64_t random = draw(generator, 1, block) % 8;
    return block == 0 || random >= 4 ? NOISE : kinds[random];
}

/* x[n] roughly normal: the sum of four uniform numbers of 16 bits, whose standard deviation is 2^16/√3. */
static void fill_normal(const struct generator *generator, uint64_t counter, float deviation, float *x, size_t n)
{
    float scale = deviation * sqrtf(3.0f) / 65536.0f;
    uint64_t key = mix(generator->seed * 5);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = mix(key + (counter + i + 1) * UINT64_C(0x9e3779b97f4a7c15));
        uint64_t pairs = (bits & UINT64_C(0x0000ffff0000ffff)) + (bits >> 16 & UINT64_C(0x0000ffff0000ffff));
        int sum = (int)(pairs & 0x1ffff) + (int)(pairs >> 32);
        x[i] = scale * (float)(sum - 131070);
    }
}

static void fill_frame(const struct generator *generator, uint64_t t, float *frame)
{
    size_t width = generator->heads * generator->head_dim;
    uint64_t block = t / generator->block, from = t;
    enum kind kind = kind_of(generator, block);
    if (kind == ZEROS) {
        /* of all of the frame, or of q and k alone */
        memset(frame, 0, 3 * width * sizeof(float));
        if (draw(generator, 2, block) % 2 == 0)
            fill_normal(generator, (3 * t + 2) * width, 1.0f, frame + 2 * width, width);
        return;
    }
    if (kind == CONSTANT)
        from = block * generator->block;
    else if (kind == REPEATS)
        from = t / REPETITIONS * REPETITIONS;
    fill_normal(generator, 3 * from * width, (float)sqrt(generator->sigma), frame, 2 * width);
    fill_normal(generator, (3 * from + 2) * width, 1.0f, frame + 2 * width, width);
    if (kind == OUTLIERS && draw(generator, 3, t) % FRAMES_AN_OUTLIER == 0)
        for (size_t i = width; i < 2 * width; i++)
            frame[i] *= OUTLIER;
}

void generator_fill(const struct generator *generator, uint64_t t, size_t n, float *frames)
{
    for (size_t i = 0; i < n; i++)
        fill_frame(generator, t + i, frames + i * 3 * generator->heads * generator->head_dim);
}

bool generator_is_noise(const struct generator *generator, uint64_t first, uint64_t end)
{
    for (uint64_t block = first / generator->block; block * generator->block < end; block++)
        if (kind_of(generator, block) != NOISE)
            return false;
    return true;
}
