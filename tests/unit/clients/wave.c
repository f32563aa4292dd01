/* SPDX-License-Identifier: MIT */
#include "tests/unit/clients/wave.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(struct wave *wave, const void *bytes, size_t n)
{
    ck_assert_uint_le(wave->n_bytes + n, sizeof(wave->bytes));
    memcpy(wave->bytes + wave->n_bytes, bytes, n);
    wave->n_bytes += n;
}

static void put_uint(struct wave *wave, uint32_t value, size_t n_bytes)
{
    put(wave, &value, n_bytes);
}

int wave_value(size_t frame, uint32_t channel)
{
    return (int)((frame * 37 + channel * 1001) % 20001) - 10000;
}

float wave_mono(size_t frame, uint32_t channels)
{
    double sum = 0.0;

    for (uint32_t c = 0; c < channels; c++)
        sum += wave_value(frame, c) / 32768.0;
    return (float)(sum / channels);
}

static void put_samples(struct wave *wave, const struct wave_options *options)
{
    size_t n_bytes = pcm_bytes(options->format);

    for (size_t i = 0; i < options->n_frames * options->channels; i++) {
        int value = wave_value(i / options->channels, (uint32_t)(i % options->channels));
        float scaled = (float)value / 32768.0f;

        if (options->format == PCM_F32LE)
            put(wave, &scaled, sizeof(scaled));
        else
            put_uint(wave, (uint32_t)value << (8 * (n_bytes - 2)), n_bytes);
    }
}

void wave_make_raw(struct wave *wave, const struct wave_options *options)
{
    wave->n_bytes = wave->header_bytes = 0;
    put_samples(wave, options);
}

static void put_chunk(struct wave *wave, const char *name)
{
    if (name == NULL)
        return;
    put(wave, name, 4);
    put_uint(wave, 5, 4);
    put(wave, "other\0", 6);
}

static void put_fmt(struct wave *wave, const struct wave_options *options)
{
    uint32_t codec = options->format == PCM_F32LE ? 3 : 1, n_bytes = (uint32_t)pcm_bytes(options->format);

    put(wave, "fmt ", 4);
    put_uint(wave, options->extensible ? 40 : 16, 4);
    put_uint(wave, options->extensible ? 0xFFFE : codec, 2);
    put_uint(wave, options->channels, 2);
    put_uint(wave, options->rate, 4);
    put_uint(wave, options->rate * n_bytes * options->channels, 4);
    put_uint(wave, n_bytes * options->channels, 2);
    put_uint(wave, n_bytes * 8, 2);
    if (options->extensible) {
        put_uint(wave, 22, 2);
        put_uint(wave, n_bytes * 8, 2);
        put_uint(wave, 0, 4);
        put_uint(wave, codec, 2);
        put(wave, "\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71", 14);
    }
}

void wave_make(struct wave *wave, const struct wave_options *options)
{
    uint32_t n_bytes = (uint32_t)(options->n_frames * options->channels * pcm_bytes(options->format));

    wave->n_bytes = 0;
    put(wave, "RIFF", 4);
    put_uint(wave, options->lies ? options->claimed : n_bytes + 36, 4);
    put(wave, "WAVE", 4);
    put_chunk(wave, options->before);
    put_fmt(wave, options);
    put(wave, "data", 4);
    put_uint(wave, options->lies ? options->claimed : n_bytes, 4);
    wave->header_bytes = wave->n_bytes;
    put_samples(wave, options);
    if (n_bytes & 1)
        put_uint(wave, 0, 1);
    put_chunk(wave, options->after);
}

const char *wave_save(const struct wave *wave)
{
    static char path[64];
    int fd;

    strcpy(path, "/tmp/attnctl-test-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, wave->bytes, wave->n_bytes), (ssize_t)wave->n_bytes);
    close(fd);
    return path;
}

void wave_pipe(const void *bytes, size_t n_bytes)
{
    int ends[2];

    ck_assert_uint_le(n_bytes, 65536);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], bytes, n_bytes), (ssize_t)n_bytes);
    close(ends[1]);
    ck_assert_int_eq(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
}
