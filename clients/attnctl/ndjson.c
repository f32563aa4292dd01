/* SPDX-License-Identifier: MIT */
#include "attnctl/ndjson.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Enough for a tenth of a millisecond after a day; scores have been rounded before. */
#define DIGITS 10

int ndjson_write(FILE *file, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_REAL_PRECISION(DIGITS)) : NULL;
    int result;

    json_decref(value);
    if (text == NULL) {
        errno = ENOMEM;
        return -1;
    }
    result = fprintf(file, "%s\n", text) < 0 || fflush(file) != 0 ? -1 : 0;
    free(text);
    return result;
}

/* The shortest decimal that is right to six digits, rather than what a float32 looks like in float64. */
static json_t *rounded(float score)
{
    char text[32];

    if (!isfinite(score))
        return json_null();
    snprintf(text, sizeof(text), "%.6g", (double)score);
    return json_real(strtod(text, NULL));
}

/* A string of JSON is UTF-8, a file name any bytes: what is neither becomes "?". */
static json_t *string(const char *bytes)
{
    json_t *value = json_string(bytes);
    char *copy;

    if (value != NULL)
        return value;
    copy = strdup(bytes);
    for (char *at = copy; at != NULL && *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *scores_of(const struct ndjson_output *output)
{
    json_t *scores = output->labels != NULL ? json_object() : json_array();

    for (uint32_t i = 0; i < output->n_scores; i++) {
        char number[16];

        if (output->labels == NULL) {
            json_array_append_new(scores, rounded(output->scores[i]));
        } else if (json_object_set_new(scores, output->labels[i], rounded(output->scores[i])) < 0) {
            snprintf(number, sizeof(number), "#%u", i);
            json_object_set_new(scores, number, rounded(output->scores[i]));
        }
    }
    return scores;
}

int ndjson_write_output(FILE *file, const struct ndjson_output *output)
{
    json_t *line = json_object();

    if (output->file != NULL)
        json_object_set_new(line, "file", string(output->file));
    json_object_set_new(line, "frame", json_integer((json_int_t)output->frame));
    if (output->time_s >= 0.0)
        json_object_set_new(line, "time_s", json_real(output->time_s));
    if (output->missing != NULL)
        json_object_set_new(line, output->missing, string(output->reason));
    else
        json_object_set_new(line, "scores", scores_of(output));
    if (output->lag_us >= 0)
        json_object_set_new(line, "lag_us", json_integer(output->lag_us));
    if (output->warming)
        json_object_set_new(line, "warming", json_true());
    return ndjson_write(file, line);
}
