/* SPDX-License-Identifier: MIT */
#include "attnctl/audio_source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "attnctl/audio_probe.h"
#include "attnctl/wav.h"

static int open_raw(struct audio_source *source, const struct audio_options *options, struct problem *problem)
{
    size_t frame_bytes;

    if (options->rate == 0)
        return problem_set(problem, "%s: raw PCM has no header: give its rate with -r, such as -r 16000",
                           source->input.name);
    if (audio_probe_raw(&source->input, options->format, problem) < 0)
        return -1;
    source->format = options->format;
    source->rate = options->rate;
    source->channels = options->channels > 0 ? options->channels : 1;
    source->data_left = UINT64_MAX;
    frame_bytes = pcm_bytes(source->format) * source->channels;
    source->n_expected = source->input.size < 0 ? -1 : source->input.size / (int64_t)frame_bytes;
    return 0;
}

static void open_wav(struct audio_source *source, const struct wav *wav)
{
    size_t frame_bytes = pcm_bytes(wav->format) * wav->channels;

    source->format = wav->format;
    source->rate = wav->rate;
    source->channels = wav->channels;
    source->data_left = wav->data_bytes;
    source->pad_bytes = wav->data_bytes & 1;
    if (source->input.size >= 0 && !wav_claim_is_placeholder(wav->data_bytes))
        source->n_expected = wav->data_bytes / (int64_t)frame_bytes;
}

static int open_sndfile(struct audio_source *source, struct problem *problem)
{
    SF_INFO info = {0};

    if (input_rewind(&source->input) < 0)
        return audio_probe_refuse_pipe(&source->input, problem);
    /* It closes the descriptor where it fails, whatever it was told. */
    source->file = sf_open_fd(fcntl(source->input.fd, F_DUPFD_CLOEXEC, 3), SFM_READ, &info, SF_TRUE);
    if (source->file == NULL)
        return audio_probe_refuse(&source->input, sf_strerror(NULL), problem);
    source->rate = (uint32_t)info.samplerate;
    source->channels = (uint32_t)info.channels;
    source->length_is_exact = (info.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC;
    source->n_expected = info.frames > 0 && info.frames < SF_COUNT_MAX ? info.frames : -1;
    return 0;
}

static int open_source(struct audio_source *source, const struct audio_options *options, struct problem *problem)
{
    const uint8_t *bytes;
    ssize_t n = 0;

    if (options->format != PCM_NONE)
        return open_raw(source, options, problem);
    n = input_peek(&source->input, WAV_MAGIC_BYTES, &bytes, problem);
    if (n < 0)
        return -1;
    if (wav_begins(bytes, (size_t)n)) {
        struct wav wav;

        if (wav_read_header(&source->input, &wav, problem) < 0)
            return -1;
        if (wav.format != PCM_NONE) {
            open_wav(source, &wav);
            return 0;
        }
        if (source->input.size < 0)
            return problem_set(
                problem,
                "%s is a WAV file of a kind that cannot be read from a pipe (codec %u, %u bits): give the "
                "file's name, or convert it to 16-bit PCM before",
                source->input.name, wav.codec, wav.bits);
        if (!wav_claim_is_placeholder(wav.data_bytes) &&
            wav.header_bytes + wav.data_bytes > (uint64_t)source->input.size)
            source->n_cut_bytes = wav.header_bytes + wav.data_bytes - (uint64_t)source->input.size;
    }
    return open_sndfile(source, problem);
}

static int check_source(const struct audio_source *source, const struct audio_options *options, struct problem *problem)
{
    const char *name = source->input.name;

    if (source->rate < AUDIO_LOWEST_RATE || source->rate > AUDIO_HIGHEST_RATE)
        return problem_set(problem, "%s: a rate of %u Hz is outside of %d to %d Hz", name, source->rate,
                           AUDIO_LOWEST_RATE, AUDIO_HIGHEST_RATE);
    if (source->channels == 0 || source->channels > AUDIO_MOST_CHANNELS)
        return problem_set(problem, "%s: %u channels are outside of 1 to %d", name, source->channels,
                           AUDIO_MOST_CHANNELS);
    if (options->rate != 0 && options->rate != source->rate)
        return problem_set(problem, "%s is sampled at %u Hz, not at %u as -r says: leave out -r", name, source->rate,
                           options->rate);
    if (options->channels != 0 && options->channels != source->channels)
        return problem_set(problem, "%s has %u channels, not %u as -c says: leave out -c", name, source->channels,
                           options->channels);
    return 0;
}

static int allocate(struct audio_source *source, struct problem *problem)
{
    source->hop = (source->rate + 99) / 100;
    if (source->file != NULL)
        return 0;
    source->bytes = malloc(source->hop * source->channels * pcm_bytes(source->format));
    return source->bytes != NULL ? 0 : problem_set(problem, "%s: no memory", source->input.name);
}

int audio_source_open(struct audio_source *source, const char *path, const struct audio_options *options,
                      struct problem *problem)
{
    *source = (struct audio_source){.n_expected = -1};
    if (input_open(&source->input, path, problem) == 0 && open_source(source, options, problem) == 0 &&
        check_source(source, options, problem) == 0 && allocate(source, problem) == 0)
        return 0;
    audio_source_close(source);
    return -1;
}

void audio_source_close(struct audio_source *source)
{
    if (source->file != NULL)
        sf_close(source->file);
    input_close(&source->input);
    free(source->bytes);
}

/* Bytes of PCM that may be read now, at most `want`: 0 where the data chunk is over and another chunk follows, or
 * nothing. A header that claims too little is as common as one that claims too much, so that what else follows is
 * samples. */
static ssize_t readable_bytes(struct audio_source *source, size_t want, struct problem *problem)
{
    const uint8_t *bytes;
    ssize_t n;

    if (source->data_left == 0) {
        n = input_peek(&source->input, source->pad_bytes + WAV_CHUNK_BYTES, &bytes, problem);
        if (n < 0)
            return -1;
        if ((size_t)n <= source->pad_bytes ||
            ((size_t)n == source->pad_bytes + WAV_CHUNK_BYTES && wav_chunk_begins(bytes + source->pad_bytes)))
            return 0;
        source->data_left = UINT64_MAX;
    }
    return want < source->data_left ? (ssize_t)want : (ssize_t)source->data_left;
}

/* At the end: -1 and a problem where the source was to be longer. */
static int check_length(const struct audio_source *source, struct problem *problem)
{
    long long n_missing = source->n_expected - (int64_t)source->n_frames;

    if (n_missing <= 0)
        return 0;
    return problem_set(
        problem, "%s is cut off: its header claims %lld samples a channel, and the last %lld (%.2f s) are missing",
        source->input.name, (long long)source->n_expected, n_missing, (double)n_missing / source->rate);
}

static ssize_t end_pcm(const struct audio_source *source, size_t frame_bytes, struct problem *problem)
{
    if (check_length(source, problem) < 0)
        return -1;
    if (source->n_bytes > 0)
        return problem_set(problem,
                           "%s ends inside a sample: %zu bytes are left over, where %u channels of %s make %zu: is it "
                           "cut off, or of another format or number of channels?",
                           source->input.name, source->n_bytes, source->channels, pcm_name(source->format),
                           frame_bytes);
    return 0;
}

static ssize_t read_pcm(struct audio_source *source, float *interleaved, struct problem *problem)
{
    size_t frame_bytes = pcm_bytes(source->format) * source->channels, n_frames;

    while (source->n_bytes < frame_bytes) {
        ssize_t n = readable_bytes(source, source->hop * frame_bytes - source->n_bytes, problem);

        if (n > 0)
            n = input_read(&source->input, source->bytes + source->n_bytes, (size_t)n, problem);
        if (n < 0)
            return -1;
        if (n == 0)
            return end_pcm(source, frame_bytes, problem);
        source->n_bytes += (size_t)n;
        source->data_left -= source->data_left == UINT64_MAX ? 0 : (uint64_t)n;
    }
    n_frames = source->n_bytes / frame_bytes;
    pcm_to_floats(source->format, interleaved, source->bytes, n_frames * source->channels);
    source->n_bytes -= n_frames * frame_bytes;
    memmove(source->bytes, source->bytes + n_frames * frame_bytes, source->n_bytes);
    return (ssize_t)n_frames;
}

static ssize_t read_sndfile(struct audio_source *source, float *interleaved, struct problem *problem)
{
    sf_count_t n = sf_readf_float(source->file, interleaved, (sf_count_t)source->hop);

    if (n > 0)
        return (ssize_t)n;
    if (source->n_cut_bytes > 0)
        return problem_set(problem, "%s is cut off: the last %llu bytes that its header claims are missing",
                           source->input.name, (unsigned long long)source->n_cut_bytes);
    if (source->length_is_exact && check_length(source, problem) < 0)
        return -1;
    if (sf_error(source->file) != SF_ERR_NO_ERROR)
        return problem_set(problem, "%s cannot be read any further after %.2f s: %s", source->input.name,
                           (double)source->n_frames / source->rate, sf_strerror(source->file));
    return 0;
}

ssize_t audio_source_read(struct audio_source *source, float *interleaved, struct problem *problem)
{
    ssize_t n =
        source->file != NULL ? read_sndfile(source, interleaved, problem) : read_pcm(source, interleaved, problem);

    if (n > 0)
        source->n_frames += (uint64_t)n;
    return n;
}
