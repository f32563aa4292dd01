/* SPDX-License-Identifier: MIT */
/*
 * Audio from a file, a pipe or standard input as mono samples at 16 kHz, as they arrive. It knows nothing of features,
 * frames and daemons.
 *
 * WAV files of plain PCM and raw PCM are read forwards, from anywhere; everything else by libsndfile, which has to
 * seek.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "attnctl/pcm.h"
#include "attnctl/problem.h"

#define AUDIO_RATE          16000
#define AUDIO_LOWEST_RATE   1000
#define AUDIO_HIGHEST_RATE  768000
#define AUDIO_MOST_CHANNELS 64

struct audio_options {
    enum pcm_format format; /* PCM_NONE: what the file says of itself; else raw PCM without a header */
    uint32_t rate;          /* samples a second; required for raw PCM, else 0 or what the file must have */
    uint32_t channels;      /* for raw PCM 0 is 1, else 0 or what the file must have */
};

struct audio;

/* Opens audio by its path, or standard input for "-"; `path` has to outlive it. On a pipe this waits for the header.
 * 0 and *audio, the caller's, to be closed with audio_close; or -1 and a problem. */
int audio_open(struct audio **audio, const char *path, const struct audio_options *options, struct problem *problem);
void audio_close(struct audio *audio);

/* The descriptor to poll before audio_read where that may have to wait; -1 for a file, which never does. */
int audio_fd(const struct audio *audio);

/* Up to n samples at 16 kHz, the mean of the channels, in [-1, 1) unless a float file goes beyond. Waits for the first
 * sample only, and reads at most 10 ms ahead of what it gives, so that no sample is held back; where the rate is not 16
 * kHz the resampler keeps a few milliseconds. Returns how many (0: the end), or -1 and a problem: what was readable
 * before it has been given, so that a file that is cut off is heard to where it ends. */
ssize_t audio_read(struct audio *audio, float *samples, size_t n, struct problem *problem);
