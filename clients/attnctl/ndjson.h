/* SPDX-License-Identifier: MIT */
/* Newline-delimited JSON, each line flushed, so that the next program in a pipe has it at once. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One frame, answered or not. */
struct ndjson_output {
    uint64_t frame;
    double time_s;       /* negative: left out */
    const char *missing; /* "dropped", "skipped" or "error": there are no scores, `reason` says why; NULL: answered */
    const char *reason;
    const float *scores; /* [n_scores] */
    uint32_t n_scores;
    const char *const *labels; /* [n_scores]: scores are an object; NULL: an array */
    int64_t lag_us;            /* negative: left out */
    bool warming;              /* left out where false */
    const char *file;          /* left out where NULL */
};

/* {"frame": 123, "time_s": 1.23, "scores": {"speech": 0.97}, "lag_us": 41}. 0, or -1 with errno: not written. Scores
 * have six significant digits; one that is no number is null, though attnd sends none. A frame without answer:
 * {"frame": 123, "time_s": 1.23, "dropped": "late"}. */
int ndjson_write_output(FILE *file, const struct ndjson_output *output);

/* Any other value as a line; takes the reference. 0, or -1 with errno: not written. Whoever reads the line on a
 * terminal is safe: what may not be shown (terminal.h) is escaped as JSON has it. */
int ndjson_write(FILE *file, json_t *value);

/* The same without spaces and with nine digits. */
int ndjson_write_compact(FILE *file, json_t *value);

/* A string of any bytes: one of JSON is UTF-8, and what is none becomes "?". */
json_t *ndjson_string(const char *bytes);
