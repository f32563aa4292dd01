/* SPDX-License-Identifier: MIT */
/*
 * RIFF: "RIFF", length, "WAVE", then chunks of a four-letter name, a length and so many bytes, padded to an even
 * number. The samples are the chunk "data"; "fmt " says what they are and comes before it. Source: Microsoft,
 * "Multimedia Programming Interface and Data Specifications 1.0" (1991), and the WAVEFORMATEXTENSIBLE of mmreg.h.
 */
#include "attnctl/wav.h"

#include <string.h>

#define CODEC_PCM        1
#define CODEC_FLOAT      3
#define CODEC_EXTENSIBLE 0xFFFE
#define FMT_BYTES        16
#define EXTENSIBLE_BYTES 40
#define MOST_CHUNKS      1000
/* Pictures and broadcast notes are smaller, and a pipe that is skipped for longer looks like a hang. */
#define MOST_CHUNK_BYTES (64u << 20)

static uint32_t u16(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8;
}

static uint32_t u32(const uint8_t *bytes)
{
    return u16(bytes) | u16(bytes + 2) << 16;
}

bool wav_begins(const uint8_t *bytes, size_t n)
{
    return n >= WAV_MAGIC_BYTES && (memcmp(bytes, "RIFF", 4) == 0 || memcmp(bytes, "RF64", 4) == 0) &&
           memcmp(bytes + 8, "WAVE", 4) == 0;
}

bool wav_claim_is_placeholder(uint32_t data_bytes)
{
    /* ffmpeg leaves 0xFFFFFFFF, arecord 0x80000000 or just below, sox 0x7FFFFFFF less its header, others 0. */
    return data_bytes == 0 || data_bytes >= 0x7FFF0000;
}

bool wav_chunk_begins(const uint8_t *bytes)
{
    static const char names[][5] = {"LIST", "id3 ", "ID3 ", "bext", "cue ", "smpl", "inst", "acid",
                                    "cart", "fact", "PEAK", "JUNK", "junk", "PAD ", "FLLR", "iXML",
                                    "axml", "chna", "_PMX", "afsp", "DISP", "umid"};

    if (u32(bytes + 4) > MOST_CHUNK_BYTES)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (memcmp(bytes, names[i], 4) == 0)
            return true;
    }
    return false;
}

static enum pcm_format format_of(uint16_t codec, uint16_t bits)
{
    if (codec == CODEC_FLOAT)
        return bits == 32 ? PCM_F32LE : PCM_NONE;
    if (codec != CODEC_PCM)
        return PCM_NONE;
    return bits == 16 ? PCM_S16LE : bits == 24 ? PCM_S24LE : bits == 32 ? PCM_S32LE : PCM_NONE;
}

/* The fmt chunk of n_bytes, of which the first EXTENSIBLE_BYTES at most are given. */
static int parse_fmt(struct wav *wav, const uint8_t *fmt, size_t n_bytes, const char *name, struct problem *problem)
{
    uint32_t frame_bytes;

    if (n_bytes < FMT_BYTES)
        return problem_set(problem, "%s is a damaged WAV file: its format chunk has %zu bytes instead of at least %d",
                           name, n_bytes, FMT_BYTES);
    wav->codec = (uint16_t)u16(fmt);
    wav->channels = u16(fmt + 2);
    wav->rate = u32(fmt + 4);
    frame_bytes = u16(fmt + 12);
    wav->bits = (uint16_t)u16(fmt + 14);
    if (wav->codec == CODEC_EXTENSIBLE && n_bytes >= EXTENSIBLE_BYTES)
        wav->codec = (uint16_t)u16(fmt + 24);
    wav->format = format_of(wav->codec, wav->bits);
    if (wav->channels == 0 || wav->rate == 0)
        return problem_set(problem, "%s is a damaged WAV file: its header says %u channels at %u Hz", name,
                           wav->channels, wav->rate);
    if (wav->format != PCM_NONE && frame_bytes != wav->channels * pcm_bytes(wav->format))
        return problem_set(problem,
                           "%s is a damaged WAV file: its header says %u bytes for the samples of one moment, where %u "
                           "channels of %u bits make %zu",
                           name, frame_bytes, wav->channels, wav->bits, wav->channels * pcm_bytes(wav->format));
    return 0;
}

/* Reads or skips one chunk that is not the samples. */
static int read_chunk(struct input *input, struct wav *wav, const uint8_t *chunk, struct problem *problem)
{
    uint8_t fmt[EXTENSIBLE_BYTES];
    uint32_t n_bytes = u32(chunk + 4), n_kept = 0;
    int64_t got = 0, skipped;

    if (n_bytes > MOST_CHUNK_BYTES)
        return problem_set(problem, "%s is a damaged WAV file: a chunk before its samples claims %u bytes", input->name,
                           n_bytes);
    if (memcmp(chunk, "fmt ", 4) == 0) {
        n_kept = n_bytes < EXTENSIBLE_BYTES ? n_bytes : EXTENSIBLE_BYTES;
        got = input_read_all(input, fmt, n_kept, problem);
        if (got == n_kept && parse_fmt(wav, fmt, n_kept, input->name, problem) < 0)
            return -1;
    }
    if (got < 0)
        return -1;
    skipped = input_read_all(input, NULL, n_bytes + (n_bytes & 1) - n_kept, problem);
    if (skipped < 0)
        return -1;
    if (got + skipped < n_bytes)
        return problem_set(problem,
                           "%s is a damaged or cut off WAV file: it ends %lld bytes before the end of a chunk that "
                           "claims %u, and has no samples",
                           input->name, (long long)(n_bytes - got - skipped), n_bytes);
    wav->header_bytes += n_bytes + (n_bytes & 1);
    return 0;
}

int wav_read_header(struct input *input, struct wav *wav, struct problem *problem)
{
    uint8_t bytes[WAV_MAGIC_BYTES];

    *wav = (struct wav){.header_bytes = WAV_MAGIC_BYTES};
    if (input_read_all(input, bytes, WAV_MAGIC_BYTES, problem) < 0)
        return -1;
    for (int n_chunks = 0; n_chunks < MOST_CHUNKS; n_chunks++) {
        int64_t got = input_read_all(input, bytes, WAV_CHUNK_BYTES, problem);

        if (got < 0)
            return -1;
        if (got < WAV_CHUNK_BYTES)
            return problem_set(problem,
                               "%s is a WAV file that is cut off in its header, after %llu bytes: it has no samples",
                               input->name, (unsigned long long)wav->header_bytes + (unsigned long long)got);
        wav->header_bytes += WAV_CHUNK_BYTES;
        if (memcmp(bytes, "data", 4) == 0) {
            wav->data_bytes = u32(bytes + 4);
            return wav->channels > 0 ? 0
                                     : problem_set(problem,
                                                   "%s is a damaged WAV file: nothing says what its samples are (no "
                                                   "format chunk before the data)",
                                                   input->name);
        }
        if (read_chunk(input, wav, bytes, problem) < 0)
            return -1;
    }
    return problem_set(problem, "%s is a damaged WAV file: no samples after %d chunks", input->name, MOST_CHUNKS);
}
