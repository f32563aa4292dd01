/* SPDX-License-Identifier: MIT */
/* What becomes of a stream's scores: lines of JSON, a live view, a timeline, an array. It knows no source and no
 * daemon. */
#pragma once

#include <stdbool.h>

#include "attnc/client.h"
#include "attnctl/npy.h"
#include "attnctl/timeline.h"
#include "attnctl/view.h"

/* What was asked for; what is shown follows from it and from what standard output is. */
struct report_options {
    bool json;            /* lines of JSON, also on a terminal */
    bool timeline;        /* also where standard output is no terminal */
    const char *out_path; /* .npy; NULL: none */
};

struct report {
    bool lines, live;
    const char *file;          /* in each line, and above the timeline; NULL: only one file */
    const char *const *labels; /* NULL: classes have no names */
    uint32_t n_scores;
    struct view view;
    struct timeline *timeline; /* NULL: none */
    bool has_out;
    struct npy out;
    bool failed; /* nothing more can be written; `problem` tells, "" where the reader has gone */
    struct problem problem;
};

/* Begins the report of one stream, on the caller's memory. `has_times`: its frames have times. 0, or -1 and
 * report->problem. */
int report_start(struct report *report, const struct report_options *options, const struct attnc_stream_info *info,
                 const char *file, bool has_times);

/* Reports one answer; time_s < 0: it has none. Frames without answer before it become NaN in the array. */
void report_output(struct report *report, const struct attnc_output *output, double time_s);

/* Reports a frame that was "dropped" or "skipped", or an "error", and why: a line without scores, a row of NaN. */
void report_missing(struct report *report, uint64_t frame, double time_s, const char *what, const char *reason);

/* Before anything else is written to the terminal. */
void report_clear(struct report *report);

/* Shows the timeline and completes the array. -1 and report->problem where that, or a line before, could not be
 * written. */
int report_end(struct report *report);
