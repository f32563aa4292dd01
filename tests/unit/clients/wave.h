/* SPDX-License-Identifier: MIT */
/* WAV files made to measure, right and wrong, for the tests of audio input. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attnctl/pcm.h"

struct wave_options {
    enum pcm_format format;
    uint32_t rate, channels;
    size_t n_frames;
    int extensible; /* WAVE_FORMAT_EXTENSIBLE instead of the plain header */
    int lies;       /* claim `claimed` bytes of data instead of what there is */
    uint32_t claimed;
    const char *before; /* a chunk of this name and odd length before the samples, or NULL */
    const char *after;  /* the same after them */
};

struct wave {
    size_t n_bytes, header_bytes;
    uint8_t bytes[1 << 19];
};

/* The value of a sample, in 1/32768: the same, exactly, in every format. */
int wave_value(size_t frame, uint32_t channel);

/* The mean over the channels of frame i, in [-1, 1). */
float wave_mono(size_t frame, uint32_t channels);

/* Only the samples. */
void wave_make_raw(struct wave *wave, const struct wave_options *options);

/* Header, samples and what else the options say. */
void wave_make(struct wave *wave, const struct wave_options *options);

/* Writes the bytes to a new temporary file, and returns its name, which the next call overwrites. */
const char *wave_save(const struct wave *wave);

/* Makes a pipe that gives these bytes, then its end, the standard input. At most 64 KiB. */
void wave_pipe(const void *bytes, size_t n_bytes);
