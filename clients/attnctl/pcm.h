/* SPDX-License-Identifier: MIT */
/* The sample formats that attnctl reads without a library: little-endian PCM. It knows nothing of files. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum pcm_format { PCM_NONE, PCM_S16LE, PCM_S24LE, PCM_S32LE, PCM_F32LE };

/* The format called "s16le", "s24le", "s32le" or "f32le"; PCM_NONE for any other name. */
enum pcm_format pcm_format_of(const char *name);
const char *pcm_name(enum pcm_format format);

/* Bytes of one sample of one channel. */
size_t pcm_bytes(enum pcm_format format);

/* n samples to floats, integers scaled to [-1, 1). */
void pcm_to_floats(enum pcm_format format, float *samples, const uint8_t *bytes, size_t n);
