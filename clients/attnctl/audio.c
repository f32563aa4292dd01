/* SPDX-License-Identifier: MIT */
/*
 * A hop (10 ms) of the source at a time: bytes or libsndfile → interleaved floats → their mean → the resampler.
 *
 * Errors of the source do not overtake samples: the source is then at its end, what is in hand is flushed through the
 * resampler, and audio_read reports the problem in the place of the end.
 */
#include "attnctl/audio.h"

#include <math.h>
#include <samplerate.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "attnc/frontend.h"
#include "attnctl/audio_source.h"

struct audio {
    struct audio_source source;
    float *interleaved, *mono; /* [hop · channels], [hop] */
    size_t mono_at, n_mono;    /* those not handed on: mono[mono_at … mono_at + n_mono − 1] */
    uint64_t n_mixed;          /* moments of the source so far */
    SRC_STATE *resampler;      /* NULL at 16 kHz */
    bool ended, failed;
    struct problem problem; /* where failed */
};

int audio_fd(const struct audio *audio)
{
    return audio->source.input.size < 0 ? audio->source.input.fd : -1;
}

static int prepare(struct audio *audio, struct problem *problem)
{
    const struct audio_source *source = &audio->source;
    int error = 0;

    audio->interleaved = malloc(source->hop * source->channels * sizeof(float));
    audio->mono = malloc(source->hop * sizeof(float));
    if (source->rate != AUDIO_RATE)
        audio->resampler = src_new(SRC_SINC_MEDIUM_QUALITY, 1, &error);
    if (audio->interleaved == NULL || audio->mono == NULL || error != 0)
        return problem_set(problem, "%s: no memory", source->input.name);
    return 0;
}

int audio_open(struct audio **result, const char *path, const struct audio_options *options, struct problem *problem)
{
    struct audio *audio = calloc(1, sizeof(*audio));

    *result = NULL;
    if (audio == NULL)
        return problem_set(problem, "%s: no memory", path);
    if (audio_source_open(&audio->source, path, options, problem) < 0) {
        free(audio);
        return -1;
    }
    if (prepare(audio, problem) < 0) {
        audio_close(audio);
        return -1;
    }
    *result = audio;
    return 0;
}

void audio_close(struct audio *audio)
{
    if (audio == NULL)
        return;
    if (audio->resampler != NULL)
        src_delete(audio->resampler);
    audio_source_close(&audio->source);
    free(audio->interleaved);
    free(audio->mono);
    free(audio);
}

/* The mean of the channels, of all moments up to one that is no audio: that one is named, and the source ends there. */
static void mix(struct audio *audio, size_t n_frames)
{
    const float *sample = audio->interleaved;

    audio->mono_at = 0;
    for (audio->n_mono = 0; audio->n_mono < n_frames; audio->n_mono++, audio->n_mixed++) {
        double sum = 0.0;

        for (uint32_t c = 0; c < audio->source.channels; c++, sample++) {
            if (!(fabsf(*sample) <= ATTNC_FRONTEND_LARGEST)) {
                problem_set(
                    &audio->problem,
                    "%s: sample %llu (%.3f s) is %g, which is no audio between -1 and 1: is it of another format?",
                    audio->source.input.name, (unsigned long long)audio->n_mixed,
                    (double)audio->n_mixed / audio->source.rate, (double)*sample);
                audio->ended = audio->failed = true;
                return;
            }
            sum += (double)*sample;
        }
        audio->mono[audio->n_mono] = (float)(sum / audio->source.channels);
    }
}

static void read_hop(struct audio *audio)
{
    ssize_t n = audio_source_read(&audio->source, audio->interleaved, &audio->problem);

    if (n > 0) {
        mix(audio, (size_t)n);
    } else {
        audio->ended = true;
        audio->failed = n < 0;
    }
}

/* Hands on up to n of the samples at hand, or what the resampler makes of them. */
static ssize_t convert(struct audio *audio, float *samples, size_t n)
{
    SRC_DATA data = {.data_in = audio->mono + audio->mono_at,
                     .input_frames = (long)audio->n_mono,
                     .data_out = samples,
                     .output_frames = (long)n,
                     .end_of_input = audio->ended,
                     .src_ratio = (double)AUDIO_RATE / audio->source.rate};
    int error;

    if (audio->resampler == NULL) {
        data.input_frames_used = data.output_frames_gen = (long)(n < audio->n_mono ? n : audio->n_mono);
        memcpy(samples, data.data_in, sizeof(float) * (size_t)data.output_frames_gen);
    } else {
        error = src_process(audio->resampler, &data);
        if (error != 0)
            return problem_set(&audio->problem, "%s cannot be resampled from %u Hz: %s", audio->source.input.name,
                               audio->source.rate, src_strerror(error));
    }
    audio->mono_at += (size_t)data.input_frames_used;
    audio->n_mono -= (size_t)data.input_frames_used;
    return data.output_frames_gen;
}

ssize_t audio_read(struct audio *audio, float *samples, size_t n, struct problem *problem)
{
    for (;;) {
        ssize_t got = convert(audio, samples, n);

        if (got > 0)
            return got;
        if (got < 0 || (audio->ended && audio->failed))
            return problem_set(problem, "%s", audio->problem.text);
        if (audio->ended)
            return 0;
        read_hop(audio);
    }
}
