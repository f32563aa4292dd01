/* SPDX-License-Identifier: MIT */
#include "attnctl/ndjson.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attnctl/terminal.h"

/* Enough for a tenth of a millisecond after a day; scores have been rounded before. */
#define DIGITS         10
#define COMPACT_DIGITS 9

/* The character at `text`, which jansson has written and is UTF-8. Returns its bytes. */
static size_t decode(const char *text, uint32_t *character)
{
    unsigned char first = (unsigned char)text[0];
    size_t n = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;

    *character = n == 1 ? first : first & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        *character = *character << 6 | ((unsigned char)text[i] & 0x3F);
    return n;
}

/* JSON leaves DEL, C1 and characters that reorder text as they are: each becomes its escape, which means the same. */
static void put_safely(FILE *file, const char *text)
{
    const char *from = text;

    while (*text != '\0') {
        size_t n = terminal_character(text);
        uint32_t character;

        if (n > 0) {
            text += n;
            continue;
        }
        fwrite(from, 1, (size_t)(text - from), file);
        text += decode(text, &character);
        if (character >= 0x10000)
            fprintf(file, "\\u%04x", 0xD800 + ((character - 0x10000) >> 10));
        fprintf(file, "\\u%04x", character < 0x10000 ? character : 0xDC00 + ((character - 0x10000) & 0x3FF));
        from = text;
    }
    fwrite(from, 1, (size_t)(text - from), file);
}

static int write_value(FILE *file, const json_t *value, size_t flags)
{
    char *text = value != NULL ? json_dumps(value, flags | JSON_ENCODE_ANY) : NULL;

    if (text == NULL) {
        errno = ENOMEM;
        return -1;
    }
    put_safely(file, text);
    free(text);
    fputc('\n', file);
    return fflush(file) != 0 || ferror(file) ? -1 : 0;
}

int ndjson_write(FILE *file, json_t *value)
{
    int result = write_value(file, value, JSON_REAL_PRECISION(DIGITS));

    json_decref(value);
    return result;
}

int ndjson_write_compact(FILE *file, json_t *value)
{
    int result = write_value(file, value, JSON_COMPACT | JSON_REAL_PRECISION(COMPACT_DIGITS));

    json_decref(value);
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

json_t *ndjson_string(const char *bytes)
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
        json_object_set_new(line, "file", ndjson_string(output->file));
    json_object_set_new(line, "frame", json_integer((json_int_t)output->frame));
    if (output->time_s >= 0.0)
        json_object_set_new(line, "time_s", json_real(output->time_s));
    if (output->missing != NULL)
        json_object_set_new(line, output->missing, ndjson_string(output->reason));
    else
        json_object_set_new(line, "scores", scores_of(output));
    if (output->lag_us >= 0)
        json_object_set_new(line, "lag_us", json_integer(output->lag_us));
    if (output->warming)
        json_object_set_new(line, "warming", json_true());
    return ndjson_write(file, line);
}
