/* SPDX-License-Identifier: MIT */
/* What a stream is opened with besides its model: --promise, --deadline and --late, which `stream` and `attend` share;
 * and the count of the frames that were too late. */
#pragma once

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "attnc/client.h"

struct terms {
    double rate;          /* frames/s; 0: nothing is promised */
    uint32_t deadline_ms; /* 0: none */
    const char *late;     /* NULL: the daemon's default */
    uint64_t n_dropped, n_skipped;
};

/* Parses the options into the struct terms given as its input; a child of a command's parser. */
extern const struct argp terms_argp;

void terms_apply(const struct terms *terms, struct attnc_open_options *options);

/* Counts the frames of a notice where it names late ones; false: it is about something else. */
bool terms_count_late(struct terms *terms, const struct attnc_notice *notice);

/* Says on standard error how many frames of n were too late, if any were. */
void terms_tell(const struct terms *terms, const char *about, uint64_t n_frames);
