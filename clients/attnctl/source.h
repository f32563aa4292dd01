/* SPDX-License-Identifier: MIT */
/* Frames for a model, one at a time, from audio or from features in a .npy file. It knows nothing of daemons. */
#pragma once

#include <argp.h>
#include <stdbool.h>

#include "attnc/frontend.h"
#include "attnctl/audio.h"
#include "attnctl/npy.h"

/* -f, -r and -c, which say what a source without a header is; parsed by source_argp into its input. */
struct source_options {
    struct audio_options audio;
    bool npy; /* -f npy: features, also where the file cannot be looked into before */
};

extern const struct argp source_argp;

/* Complains like argp_error where raw PCM lacks its rate; for a parser's ARGP_KEY_END. */
void source_check_options(const struct source_options *options, const struct argp_state *state);

/* How the model wants its frames; hops 0: it has no front-end, and takes features only. */
struct source_model {
    uint32_t hops, stride, input_dim;
};

struct source {
    const char *path, *name; /* the name is for messages: "standard input" for "-" */
    struct source_model model;
    double rate;         /* of features: frames a second; 0: the front-end's, or not known */
    struct audio *audio; /* NULL: features */
    struct attnc_frontend *frontend;
    struct npy npy;
    float samples[ATTNC_FRONTEND_HOP]; /* [n_samples], of which the first `used` are in the front-end */
    size_t n_samples, used;
    uint64_t n_frames; /* given so far */
};

/* Opens a file, or standard input for "-"; `path` has to outlive the source. 0, or -1 and a problem. */
int source_open(struct source *source, const char *path, const struct source_options *options,
                const struct source_model *model, struct problem *problem);
void source_close(struct source *source);

/* Takes in one hop of audio, or one row. 1 and the frame [input_dim] where one is complete with it; 0 where not yet; −1
 * and a problem at what cannot be read, all frames before it having been given; SOURCE_END. Waits only where
 * source_fd() waits. *time_s is the end of the frame in seconds from the start, or −1 where that is not known. */
#define SOURCE_END -2
int source_next(struct source *source, float *frame, double *time_s, struct problem *problem);

/* At the end: −1 and a problem where audio ended before its first frame. */
int source_check_any(const struct source *source, struct problem *problem);

/* The descriptor to poll before source_next; −1 where that never waits. */
int source_fd(const struct source *source);

/* Time of frame i; −1 where it is not known. */
double source_time(const struct source *source, uint64_t i);
