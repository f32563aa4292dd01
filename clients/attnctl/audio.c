/* SPDX-License-Identifier: MIT */
/*
 * A hop (10 ms) of the source at a time: bytes or libsndfile → interleaved floats → their mean → the resampler.
 *
 * Errors of the source do not overtake samples: the source is then at its end, what is in hand is flushed through the
 * resampler, and audio_read reports the problem in the place of the end.
 */
#include "attnctl/audio.h"

#include <fcntl.h>
#include <math.h>
#include <samplerate.h>
#include <sndfile.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "attnc/frontend.h"
#include "attnctl/audio_probe.h"
#include "attnctl/input.h"
#include "attnctl/wav.h"

struct audio {
    struct input input;
    SNDFILE *file;          /* NULL: PCM from `input` */
    enum pcm_format format; /* of PCM */
    uint32_t rate, channels;
    uint64_t n_frames;    /* moments read from the source; one has a sample of each channel */
    int64_t n_expected;   /* moments the source has, -1: unknown */
    uint64_t data_left;   /* bytes of PCM before something else may follow; UINT64_MAX: none does */
    uint64_t n_cut_bytes; /* that the header of a WAV file for libsndfile claims, and the file does not have */
    size_t pad_bytes;     /* after those */
    size_t hop;           /* moments in 10 ms */
    uint8_t *bytes;       /* [hop · channels · pcm_bytes], of which n_bytes are a moment that has not all arrived */
    size_t n_bytes;
    float *interleaved, *mono; /* [hop · channels], [hop] */
    size_t mono_at, n_mono;    /* those not handed on: mono[mono_at … mono_at + n_mono − 1] */
    SRC_STATE *resampler;      /* NULL at 16 kHz */
    bool ended, failed;
    struct problem problem; /* where failed */
};

uint32_t audio_rate(const struct audio *audio)
{
    return audio->rate;
}

uint32_t audio_channels(const struct audio *audio)
{
    return audio->channels;
}

int audio_fd(const struct audio *audio)
{
    return audio->input.size < 0 ? audio->input.fd : -1;
}

int64_t audio_length(const struct audio *audio)
{
    return audio->n_expected < 0 ? -1 : (int64_t)((double)audio->n_expected * AUDIO_RATE / audio->rate);
}

static int open_raw(struct audio *audio, const struct audio_options *options, struct problem *problem)
{
    size_t frame_bytes;

    if (options->rate == 0)
        return problem_set(problem, "%s: raw PCM has no header: give its rate with -r, such as -r 16000",
                           audio->input.name);
    if (audio_probe_raw(&audio->input, options->format, problem) < 0)
        return -1;
    audio->format = options->format;
    audio->rate = options->rate;
    audio->channels = options->channels > 0 ? options->channels : 1;
    audio->data_left = UINT64_MAX;
    frame_bytes = pcm_bytes(audio->format) * audio->channels;
    audio->n_expected = audio->input.size < 0 ? -1 : audio->input.size / (int64_t)frame_bytes;
    return 0;
}

static void open_wav(struct audio *audio, const struct wav *wav)
{
    size_t frame_bytes = pcm_bytes(wav->format) * wav->channels;

    audio->format = wav->format;
    audio->rate = wav->rate;
    audio->channels = wav->channels;
    audio->data_left = wav->data_bytes;
    audio->pad_bytes = wav->data_bytes & 1;
    if (audio->input.size >= 0 && !wav_claim_is_placeholder(wav->data_bytes))
        audio->n_expected = wav->data_bytes / (int64_t)frame_bytes;
}

static int open_sndfile(struct audio *audio, struct problem *problem)
{
    SF_INFO info = {0};

    if (input_rewind(&audio->input) < 0)
        return audio_probe_refuse_pipe(&audio->input, problem);
    /* It closes the descriptor where it fails, whatever it was told. */
    audio->file = sf_open_fd(fcntl(audio->input.fd, F_DUPFD_CLOEXEC, 3), SFM_READ, &info, SF_TRUE);
    if (audio->file == NULL)
        return audio_probe_refuse(&audio->input, sf_strerror(NULL), problem);
    audio->rate = (uint32_t)info.samplerate;
    audio->channels = (uint32_t)info.channels;
    audio->n_expected = info.frames > 0 && info.frames < SF_COUNT_MAX ? info.frames : -1;
    return 0;
}

static int open_source(struct audio *audio, const struct audio_options *options, struct problem *problem)
{
    const uint8_t *bytes;
    ssize_t n = 0;

    if (options->format != PCM_NONE)
        return open_raw(audio, options, problem);
    n = input_peek(&audio->input, WAV_MAGIC_BYTES, &bytes, problem);
    if (n < 0)
        return -1;
    if (wav_begins(bytes, (size_t)n)) {
        struct wav wav;

        if (wav_read_header(&audio->input, &wav, problem) < 0)
            return -1;
        if (wav.format != PCM_NONE) {
            open_wav(audio, &wav);
            return 0;
        }
        if (audio->input.size < 0)
            return problem_set(
                problem,
                "%s is a WAV file of a kind that cannot be read from a pipe (codec %u, %u bits): give the "
                "file's name, or convert it to 16-bit PCM before",
                audio->input.name, wav.codec, wav.bits);
        if (!wav_claim_is_placeholder(wav.data_bytes) &&
            wav.header_bytes + wav.data_bytes > (uint64_t)audio->input.size)
            audio->n_cut_bytes = wav.header_bytes + wav.data_bytes - (uint64_t)audio->input.size;
    }
    return open_sndfile(audio, problem);
}

static int check_source(const struct audio *audio, const struct audio_options *options, struct problem *problem)
{
    const char *name = audio->input.name;

    if (audio->rate < AUDIO_LOWEST_RATE || audio->rate > AUDIO_HIGHEST_RATE)
        return problem_set(problem, "%s: a rate of %u Hz is outside of %d to %d Hz", name, audio->rate,
                           AUDIO_LOWEST_RATE, AUDIO_HIGHEST_RATE);
    if (audio->channels == 0 || audio->channels > AUDIO_MOST_CHANNELS)
        return problem_set(problem, "%s: %u channels are outside of 1 to %d", name, audio->channels,
                           AUDIO_MOST_CHANNELS);
    if (options->rate != 0 && options->rate != audio->rate)
        return problem_set(problem, "%s is sampled at %u Hz, not at %u as -r says: leave out -r", name, audio->rate,
                           options->rate);
    if (options->channels != 0 && options->channels != audio->channels)
        return problem_set(problem, "%s has %u channels, not %u as -c says: leave out -c", name, audio->channels,
                           options->channels);
    return 0;
}

static int allocate(struct audio *audio, struct problem *problem)
{
    size_t n_samples;
    int error = 0;

    audio->hop = (audio->rate + 99) / 100;
    n_samples = audio->hop * audio->channels;
    audio->bytes = malloc(n_samples * sizeof(float));
    audio->interleaved = malloc(n_samples * sizeof(float));
    audio->mono = malloc(audio->hop * sizeof(float));
    if (audio->rate != AUDIO_RATE)
        audio->resampler = src_new(SRC_SINC_MEDIUM_QUALITY, 1, &error);
    if (audio->bytes == NULL || audio->interleaved == NULL || audio->mono == NULL || error != 0)
        return problem_set(problem, "%s: no memory", audio->input.name);
    return 0;
}

int audio_open(struct audio **result, const char *path, const struct audio_options *options, struct problem *problem)
{
    struct audio *audio = calloc(1, sizeof(*audio));

    *result = NULL;
    if (audio == NULL)
        return problem_set(problem, "%s: no memory", path);
    audio->n_expected = -1;
    if (input_open(&audio->input, path, problem) < 0 || open_source(audio, options, problem) < 0 ||
        check_source(audio, options, problem) < 0 || allocate(audio, problem) < 0) {
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
    if (audio->file != NULL)
        sf_close(audio->file);
    input_close(&audio->input);
    free(audio->bytes);
    free(audio->interleaved);
    free(audio->mono);
    free(audio);
}

/* Bytes of PCM that may be read now, at most `want`: 0 where the data chunk is over and another chunk follows, or
 * nothing. A header that claims too little is as common as one that claims too much, so that what else follows is
 * samples. */
static ssize_t readable_bytes(struct audio *audio, size_t want)
{
    const uint8_t *bytes;
    ssize_t n;

    if (audio->data_left == 0) {
        n = input_peek(&audio->input, audio->pad_bytes + WAV_CHUNK_BYTES, &bytes, &audio->problem);
        if (n < 0)
            return -1;
        if ((size_t)n <= audio->pad_bytes ||
            ((size_t)n == audio->pad_bytes + WAV_CHUNK_BYTES && wav_chunk_begins(bytes + audio->pad_bytes)))
            return 0;
        audio->data_left = UINT64_MAX;
    }
    return want < audio->data_left ? (ssize_t)want : (ssize_t)audio->data_left;
}

/* At the end of the bytes: is anything missing? */
static ssize_t end_pcm(struct audio *audio, size_t frame_bytes)
{
    if (audio->n_expected > (int64_t)audio->n_frames)
        return problem_set(
            &audio->problem,
            "%s is cut off: its header claims %lld samples a channel, and the last %lld (%.2f s) are missing",
            audio->input.name, (long long)audio->n_expected, (long long)(audio->n_expected - (int64_t)audio->n_frames),
            (double)(audio->n_expected - (int64_t)audio->n_frames) / audio->rate);
    if (audio->n_bytes > 0)
        return problem_set(
            &audio->problem,
            "%s ends inside a sample: %zu bytes are left over, where %u channels of %s make %zu: is it cut "
            "off, or of another format or number of channels?",
            audio->input.name, audio->n_bytes, audio->channels, pcm_name(audio->format), frame_bytes);
    return 0;
}

/* Whole moments into `interleaved`; waits for the first one. Their number, 0 at the end, or -1 and audio->problem. */
static ssize_t read_pcm(struct audio *audio)
{
    size_t frame_bytes = pcm_bytes(audio->format) * audio->channels, n_frames;

    while (audio->n_bytes < frame_bytes) {
        ssize_t n = readable_bytes(audio, audio->hop * frame_bytes - audio->n_bytes);

        if (n > 0)
            n = input_read(&audio->input, audio->bytes + audio->n_bytes, (size_t)n, &audio->problem);
        if (n < 0)
            return -1;
        if (n == 0)
            return end_pcm(audio, frame_bytes);
        audio->n_bytes += (size_t)n;
        audio->data_left -= audio->data_left == UINT64_MAX ? 0 : (uint64_t)n;
    }
    n_frames = audio->n_bytes / frame_bytes;
    pcm_to_floats(audio->format, audio->interleaved, audio->bytes, n_frames * audio->channels);
    audio->n_bytes -= n_frames * frame_bytes;
    memmove(audio->bytes, audio->bytes + n_frames * frame_bytes, audio->n_bytes);
    return (ssize_t)n_frames;
}

static ssize_t read_sndfile(struct audio *audio)
{
    sf_count_t n = sf_readf_float(audio->file, audio->interleaved, (sf_count_t)audio->hop);

    if (n == 0 && sf_error(audio->file) != SF_ERR_NO_ERROR)
        return problem_set(&audio->problem, "%s cannot be read any further after %.2f s: %s", audio->input.name,
                           (double)audio->n_frames / audio->rate, sf_strerror(audio->file));
    if (n == 0 && audio->n_cut_bytes > 0)
        return problem_set(&audio->problem, "%s is cut off: the last %llu bytes that its header claims are missing",
                           audio->input.name, (unsigned long long)audio->n_cut_bytes);
    return (ssize_t)n;
}

/* The mean of the channels, of all moments up to one that is no audio: that one is named, and the source ends there. */
static void mix(struct audio *audio, size_t n_frames)
{
    const float *sample = audio->interleaved;

    audio->mono_at = 0;
    for (audio->n_mono = 0; audio->n_mono < n_frames; audio->n_mono++, audio->n_frames++) {
        double sum = 0.0;

        for (uint32_t c = 0; c < audio->channels; c++, sample++) {
            if (!(fabsf(*sample) <= ATTNC_FRONTEND_LARGEST)) {
                problem_set(
                    &audio->problem,
                    "%s: sample %llu (%.3f s) is %g, which is no audio between -1 and 1: is it of another format?",
                    audio->input.name, (unsigned long long)audio->n_frames, (double)audio->n_frames / audio->rate,
                    (double)*sample);
                audio->ended = audio->failed = true;
                return;
            }
            sum += (double)*sample;
        }
        audio->mono[audio->n_mono] = (float)(sum / audio->channels);
    }
}

static void read_hop(struct audio *audio)
{
    ssize_t n = audio->file != NULL ? read_sndfile(audio) : read_pcm(audio);

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
                     .src_ratio = (double)AUDIO_RATE / audio->rate};
    int error;

    if (audio->resampler == NULL) {
        data.input_frames_used = data.output_frames_gen = (long)(n < audio->n_mono ? n : audio->n_mono);
        memcpy(samples, data.data_in, sizeof(float) * (size_t)data.output_frames_gen);
    } else {
        error = src_process(audio->resampler, &data);
        if (error != 0)
            return problem_set(&audio->problem, "%s cannot be resampled from %u Hz: %s", audio->input.name, audio->rate,
                               src_strerror(error));
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
