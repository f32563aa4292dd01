/* SPDX-License-Identifier: MIT */
/* Why bytes cannot be read as the audio they were given as, in words that help. */
#pragma once

#include "attnctl/input.h"
#include "attnctl/pcm.h"
#include "attnctl/problem.h"

/* -1 and a problem where raw PCM of `format` is wanted and the first bytes are those of a file with a header. */
int audio_probe_raw(struct input *input, enum pcm_format format, struct problem *problem);

/* The problem of a regular file that libsndfile refused with `reason`. Always -1. */
int audio_probe_refuse(struct input *input, const char *reason, struct problem *problem);

/* The problem of a pipe that is no WAV file. Always -1. */
int audio_probe_refuse_pipe(struct input *input, struct problem *problem);
