/* SPDX-License-Identifier: MIT */
#include "attnctl/audio_probe.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static const char NPY[] = "a .npy file";

/* What files begin with, longest first where one begins another. */
static const struct {
    const char *bytes;
    size_t n_bytes;
    const char *kind;
} magics[] = {
    {"RIFF", 4, "a WAV file"},  {"RF64", 4, "a WAV file"},  {"RIFX", 4, "a WAV file"}, {"FORM", 4, "an AIFF file"},
    {"fLaC", 4, "a FLAC file"}, {"OggS", 4, "an Ogg file"}, {"ID3", 3, "an MP3 file"}, {"caff", 4, "a CAF file"},
    {".snd", 4, "an AU file"},  {"\x93NUMPY", 6, NPY},
};

static const char *kind_of(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (n >= magics[i].n_bytes && memcmp(bytes, magics[i].bytes, magics[i].n_bytes) == 0)
            return magics[i].kind;
    }
    return NULL;
}

/* Bytes from 128 on are taken for UTF-8: PCM is hardly ever without a control character for this long. */
static bool is_text(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] < 128 && !isprint(bytes[i]) && !isspace(bytes[i]))
            return false;
    }
    return n > 0;
}

static int refuse_npy(const struct input *input, struct problem *problem)
{
    return problem_set(problem, "%s is a .npy file: to take features from it give -f npy", input->name);
}

/* The first bytes of the input, at most n_most, and the kind of file that they begin, or NULL. Returns how many there
 * are, or -1: an input without any is a problem of its own. */
static ssize_t look(struct input *input, size_t n_most, const uint8_t **bytes, const char **kind,
                    struct problem *problem)
{
    ssize_t n = input_peek(input, n_most, bytes, problem);

    if (n == 0)
        return problem_set(problem, "%s is empty: there is no audio in it", input->name);
    if (n > 0)
        *kind = kind_of(*bytes, (size_t)n);
    return n;
}

int audio_probe_raw(struct input *input, enum pcm_format format, struct problem *problem)
{
    const uint8_t *bytes;
    const char *kind;

    if (look(input, 6, &bytes, &kind, problem) < 0)
        return -1;
    if (kind == NPY)
        return refuse_npy(input, problem);
    if (kind != NULL)
        return problem_set(problem, "%s: these bytes are %s, and would be noise if taken for %s: leave out -f",
                           input->name, kind, pcm_name(format));
    return 0;
}

int audio_probe_refuse(struct input *input, const char *reason, struct problem *problem)
{
    const uint8_t *bytes;
    const char *kind;
    ssize_t n = input_rewind(input) < 0 ? -1 : look(input, INPUT_MOST_PEEK, &bytes, &kind, problem);

    if (n < 0)
        return -1;
    if (kind == NPY)
        return refuse_npy(input, problem);
    if (kind != NULL)
        return problem_set(problem, "%s is %s that cannot be read as audio: %s", input->name, kind, reason);
    if (is_text(bytes, (size_t)n))
        return problem_set(problem, "%s is not audio that can be read: it looks like text", input->name);
    return problem_set(problem,
                       "%s is not audio that can be read (%s): for raw PCM say what it is, such as -f s16le -r 16000",
                       input->name, reason);
}

int audio_probe_refuse_pipe(struct input *input, struct problem *problem)
{
    const uint8_t *bytes;
    const char *kind;
    ssize_t n = look(input, INPUT_MOST_PEEK / 4, &bytes, &kind, problem);

    if (n < 0)
        return -1;
    if (kind == NPY)
        return refuse_npy(input, problem);
    if (kind != NULL)
        return problem_set(
            problem,
            "%s is %s, which cannot be read from a pipe: give the file's name, or make it a WAV file on the "
            "way (ffmpeg -i - -f wav -, or sox - -t wav -)",
            input->name, kind);
    if (is_text(bytes, (size_t)n))
        return problem_set(problem, "%s is not audio that can be read: it looks like text", input->name);
    return problem_set(problem, "%s has no header that says what it is: for raw PCM give it, such as -f s16le -r 16000",
                       input->name);
}
