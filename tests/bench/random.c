/* SPDX-License-Identifier: MIT */
#include "random.h"

#include <math.h>
#include <stdlib.h>

#define POOL_BYTES (96 * 1024)
#define MIN_FRAMES 7
#define MAX_FRAMES 61

/* In (0, 1): Steele et al., Fast splittable pseudorandom number generators (SplitMix64). */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

void bench_random(size_t n, float *x, float deviation, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        double radius = sqrt(-2 * log(uniform(&seed)));
        x[i] = deviation * (float)(radius * cos(2 * M_PI * uniform(&seed)));
    }
}

int bench_frames_init(struct bench_frames *frames, size_t n_floats)
{
    size_t fits = POOL_BYTES / sizeof(float) / n_floats;
    frames->n_floats = n_floats;
    frames->count = (fits < MIN_FRAMES ? MIN_FRAMES : fits > MAX_FRAMES ? MAX_FRAMES : fits) | 1;
    frames->values = malloc(frames->count * n_floats * sizeof(float));
    if (frames->values == NULL)
        return -1;
    bench_random(frames->count * n_floats, frames->values, 1, n_floats);
    return 0;
}

void bench_frames_done(struct bench_frames *frames)
{
    free(frames->values);
    frames->values = NULL;
}

const float *bench_frames_at(const struct bench_frames *frames, size_t i)
{
    return frames->values + i % frames->count * frames->n_floats;
}
