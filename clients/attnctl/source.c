/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/source.h"

#include <stdlib.h>
#include <string.h>

static uint32_t parse_number(const char *what, const char *text, uint32_t most, const struct argp_state *state)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || number < 1 || number > most)
        argp_error(state, "%s is a number from 1 to %u, not '%s'", what, most, text);
    return number;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct source_options *options = state->input;
    switch (key) {
    case 'f':
        options->npy = strcmp(argument, "npy") == 0;
        options->audio.format = pcm_format_of(argument);
        if (options->audio.format == PCM_NONE && !options->npy)
            argp_error(state, "there is no format '%s'; there are s16le, s24le, s32le, f32le and npy", argument);
        return 0;
    case 'r':
        options->audio.rate = parse_number("the rate", argument, AUDIO_HIGHEST_RATE, state);
        return 0;
    case 'c':
        options->audio.channels = parse_number("the number of channels", argument, AUDIO_MOST_CHANNELS, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_table[] = {
    {"format", 'f', "FORMAT", 0, "Raw PCM without a header: s16le, s24le, s32le or f32le; or npy: features on a pipe",
     5},
    {"rate", 'r', "RATE", 0, "Samples a second of raw PCM, 1000 to 768000; of features: frames a second", 5},
    {"channels", 'c', "N", 0, "Channels of raw PCM, which are mixed down (default: 1)", 5},
    {0},
};

const struct argp source_argp = {.options = option_table, .parser = parse};

void source_check_options(const struct source_options *options, const struct argp_state *state)
{
    if (options->audio.format != PCM_NONE && options->audio.rate == 0)
        argp_error(state, "raw PCM has no header that says its rate: give it with -r, such as -r 16000");
}

static int open_features(struct source *source, const struct source_options *options, struct problem *problem)
{
    if (npy_open(&source->npy, source->path, problem) < 0)
        return -1;
    source->rate = options->audio.rate;
    if (source->npy.n_dims == 2 && source->npy.row_floats == source->model.input_dim)
        return 0;
    problem_set(problem, "%s holds rows of %zu floats in %d dimensions; the model takes features [T, %u]", source->name,
                source->npy.row_floats, source->npy.n_dims, source->model.input_dim);
    npy_close(&source->npy);
    return -1;
}

static int open_audio(struct source *source, const struct source_options *options, struct problem *problem)
{
    const struct source_model *model = &source->model;
    struct attnc_frontend_options frontend = {.size = sizeof(frontend), .hops = model->hops, .stride = model->stride};
    if (model->hops == 0)
        return problem_set(problem,
                           "%s: the model has no front-end for audio: it takes features from a .npy file, [T, %u]",
                           source->name, model->input_dim);
    if (attnc_frontend_new(&source->frontend, &frontend) < 0)
        return problem_set(problem, "the model's front-end, hops %u and stride %u, cannot be made", model->hops,
                           model->stride);
    if (attnc_frontend_frame_dim(source->frontend) != model->input_dim)
        return problem_set(problem, "the model takes %u floats a frame, but its front-end of %u hops makes %u",
                           model->input_dim, model->hops, attnc_frontend_frame_dim(source->frontend));
    return audio_open(&source->audio, source->path, &options->audio, problem);
}

int source_open(struct source *source, const char *path, const struct source_options *options,
                const struct source_model *model, struct problem *problem)
{
    *source = (struct source){.path = path, .name = strcmp(path, "-") == 0 ? "standard input" : path, .model = *model};
    if (options->npy || (options->audio.format == PCM_NONE && npy_is_file(path) == 1))
        return open_features(source, options, problem);
    if (open_audio(source, options, problem) == 0)
        return 0;
    attnc_frontend_free(source->frontend);
    return -1;
}

void source_close(struct source *source)
{
    if (source->audio)
        audio_close(source->audio);
    else
        npy_close(&source->npy);
    attnc_frontend_free(source->frontend);
}

double source_time(const struct source *source, uint64_t i)
{
    const struct source_model *model = &source->model;
    if (source->rate > 0)
        return (i + 1) / source->rate;
    if (model->hops == 0)
        return -1;
    uint64_t last_hop = i * model->stride + model->hops - 1;
    return (double)(last_hop * ATTNC_FRONTEND_HOP + ATTNC_FRONTEND_WINDOW) / ATTNC_FRONTEND_RATE;
}

static int next_row(struct source *source, float *frame, double *time_s, struct problem *problem)
{
    ssize_t n = npy_read_rows(&source->npy, frame, 1, problem);
    if (n <= 0)
        return n < 0 ? -1 : SOURCE_END;
    *time_s = source_time(source, source->n_frames++);
    return 1;
}

/* Puts the samples that were read into the front-end, up to the end of a frame. */
static int use_samples(struct source *source, float *frame, double *time_s, struct problem *problem)
{
    int n = attnc_frontend_push(source->frontend, source->samples + source->used, source->n_samples - source->used);
    if (n < 0)
        return problem_set(problem,
                           "%s: sample %llu, at %.3f s, is no audio: it is not a number from -1 to 1, nor near it",
                           source->name, (unsigned long long)attnc_frontend_samples(source->frontend),
                           (double)attnc_frontend_samples(source->frontend) / ATTNC_FRONTEND_RATE);
    source->used += n;
    if (!attnc_frontend_next(source->frontend, frame, time_s))
        return 0;
    source->n_frames++;
    return 1;
}

int source_next(struct source *source, float *frame, double *time_s, struct problem *problem)
{
    if (!source->audio)
        return next_row(source, frame, time_s, problem);
    if (source->used == source->n_samples) {
        ssize_t n = audio_read(source->audio, source->samples, ATTNC_FRONTEND_HOP, problem);
        if (n <= 0)
            return n < 0 ? -1 : SOURCE_END;
        source->n_samples = n;
        source->used = 0;
    }
    return use_samples(source, frame, time_s, problem);
}

int source_check_any(const struct source *source, struct problem *problem)
{
    if (!source->audio || source->n_frames > 0)
        return 0;
    return problem_set(problem, "%s is too short: it has %.3f s of audio, and the model's first frame takes %.3f s",
                       source->name, (double)attnc_frontend_samples(source->frontend) / ATTNC_FRONTEND_RATE,
                       source_time(source, 0));
}

int source_fd(const struct source *source)
{
    if (source->audio)
        return source->used < source->n_samples ? -1 : audio_fd(source->audio);
    return source->npy.input.size < 0 ? source->npy.input.fd : -1;
}
