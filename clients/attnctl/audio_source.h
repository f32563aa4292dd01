/* SPDX-License-Identifier: MIT */
/* Where audio comes from: bytes of PCM as they arrive, or libsndfile, as floats at the rate and in the channels it has.
 */
#pragma once

#include <sndfile.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "attnctl/audio.h"
#include "attnctl/input.h"

/* A moment is one sample of each channel. */
struct audio_source {
    struct input input;
    uint32_t rate, channels;
    size_t hop;         /* moments in 10 ms, rounded up */
    uint64_t n_frames;  /* moments read so far */
    int64_t n_expected; /* moments there are, -1: unknown */
    /* private */
    SNDFILE *file;          /* NULL: PCM from `input` */
    bool length_is_exact;   /* of `file`: n_expected is not a guess, as it is for MP3 */
    uint64_t n_cut_bytes;   /* that the header of a WAV file for libsndfile claims, and the file does not have */
    enum pcm_format format; /* of PCM */
    uint64_t data_left;     /* bytes of PCM before something else may follow; UINT64_MAX: none does */
    size_t pad_bytes;       /* after those */
    uint8_t *bytes;         /* [hop · channels · pcm_bytes], of which n_bytes are a moment that has not all arrived */
    size_t n_bytes;
};

/* 0, or -1 and a problem; then there is nothing to close. */
int audio_source_open(struct audio_source *source, const char *path, const struct audio_options *options,
                      struct problem *problem);
void audio_source_close(struct audio_source *source);

/* Up to `hop` moments, [hop][channels]; waits for the first one only. Their number, 0 at the end, or -1 and a problem,
 * which may be that the end came too early. */
ssize_t audio_source_read(struct audio_source *source, float *interleaved, struct problem *problem);
