/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_frames.h"

#include <stdlib.h>
#include <string.h>

#define GOLDEN 0x9e3779b97f4a7c15u /* 2^64 over the golden ratio: far apart for near numbers */

/* The last steps of SplitMix64 (Steele, Lea, Flood 2014): every bit of the result depends on every bit of the value. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

int bench_frames_init(struct bench_frames *frames, uint64_t seed, uint32_t input_dim)
{
    size_t n_floats = (size_t)BENCH_RING * input_dim;
    *frames = (struct bench_frames){.seed = mix(seed + GOLDEN), .frame_bytes = input_dim * sizeof(float)};
    frames->ring = malloc(n_floats * sizeof(float));
    if (!frames->ring)
        return -1;
    for (size_t i = 0; i < n_floats; i++) {
        /* Uniform from −√3 to √3. */
        float value =
            (float)((double)(mix(frames->seed + i * GOLDEN) >> 11) * (2 * 1.7320508 / 9007199254740992.0) - 1.7320508);
        memcpy(frames->ring + i * sizeof(float), &value, sizeof(value));
    }
    return 0;
}

void bench_frames_done(struct bench_frames *frames)
{
    free(frames->ring);
    frames->ring = NULL;
}

const uint8_t *bench_frames_at(const struct bench_frames *frames, uint64_t stream, uint64_t number)
{
    uint64_t which = mix(frames->seed ^ (stream * GOLDEN + number)) % BENCH_RING;
    return frames->ring + which * frames->frame_bytes;
}

uint64_t bench_frames_sum(uint64_t sum, uint64_t number, const uint8_t *output, size_t n_bytes)
{
    sum = mix(sum + number * GOLDEN + n_bytes);
    for (; n_bytes >= sizeof(uint64_t); n_bytes -= sizeof(uint64_t), output += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, output, sizeof(word));
        sum = (sum ^ word) * GOLDEN;
        sum ^= sum >> 29;
    }
    uint64_t rest = 0;
    memcpy(&rest, output, n_bytes);
    return mix(sum ^ rest);
}

uint64_t bench_frames_part(uint64_t stream, uint64_t sum)
{
    return mix(sum ^ mix(stream + GOLDEN));
}
