/* SPDX-License-Identifier: MIT */
#include "attnctl/pcm.h"

#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} formats[] = {
    [PCM_NONE] = {"none", 0},   [PCM_S16LE] = {"s16le", 2}, [PCM_S24LE] = {"s24le", 3},
    [PCM_S32LE] = {"s32le", 4}, [PCM_F32LE] = {"f32le", 4},
};

enum pcm_format pcm_format_of(const char *name)
{
    for (int format = PCM_S16LE; format <= PCM_F32LE; format++) {
        if (strcmp(name, formats[format].name) == 0)
            return (enum pcm_format)format;
    }
    return PCM_NONE;
}

const char *pcm_name(enum pcm_format format)
{
    return formats[format].name;
}

size_t pcm_bytes(enum pcm_format format)
{
    return formats[format].bytes;
}

/* An integer of 1 to 4 bytes in the upper end of 32 bits, so that one scale fits all. */
static float integer_to_float(const uint8_t *bytes, size_t n_bytes)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n_bytes; i++)
        value |= (uint32_t)bytes[i] << (8 * (4 - n_bytes + i));
    return (float)(int32_t)value * (1.0f / 2147483648.0f);
}

void pcm_to_floats(enum pcm_format format, float *samples, const uint8_t *bytes, size_t n)
{
    size_t n_bytes = pcm_bytes(format);

    if (format == PCM_F32LE) {
        memcpy(samples, bytes, n * n_bytes);
        return;
    }
    for (size_t i = 0; i < n; i++)
        samples[i] = integer_to_float(bytes + i * n_bytes, n_bytes);
}
