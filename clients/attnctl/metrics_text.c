/* SPDX-License-Identifier: MIT */
/*
 * Seconds are printed from whole microseconds, so that they are exact. The bounds of lags are powers of two of a
 * microsecond, where the daemon's own buckets end, too: nothing is counted by guess.
 */
#include "config.h"

#include "attnctl/metrics_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "attnctl/field.h"
#include "attnctl/stats.h"
#include "attnctl/terminal.h"

/* 2^4 = 16 us to 2^24 us = 16.8 s. */
#define FIRST_LAG_POWER 4
#define LAST_LAG_POWER  24

/* Sizes of groups: 2^0 to 2^31; what the daemon counts beyond is in the last bucket. */
#define LAST_SIZE_POWER 31

#define LABELS_BYTES 1024

static char *put_escaped(char *at, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"')
            *at++ = '\\';
        *at++ = *text;
    }
    *at = '\0';
    return at;
}

/* Adds name="value" to the labels between the braces, made safe to be shown. False: a value of more than a model's or
 * error's name has no room, and there is nothing to tell of it. */
static bool add_label(char labels[LABELS_BYTES], const char *name, const char *value)
{
    char *at = labels + strlen(labels), safe[LABELS_BYTES];
    if (strlen(labels) + strlen(name) + 2 * strlen(value) + 8 > LABELS_BYTES)
        return false;
    strcpy(safe, value);
    terminal_make_safe(safe);
    at += sprintf(at, "%s%s=\"", labels[0] ? "," : "", name);
    at = put_escaped(at, safe);
    strcpy(at, "\"");
    return true;
}

static bool add_shard(char labels[LABELS_BYTES], const json_t *entry)
{
    char number[32];
    json_int_t shard;
    if (!field_number_within(entry, "shard", 0, INT32_MAX, &shard))
        return false;
    snprintf(number, sizeof(number), "%lld", (long long)shard);
    return add_label(labels, "shard", number);
}

static void put_name(FILE *out, const char *name, const char *ending, const char *labels)
{
    if (labels[0])
        fprintf(out, "%s%s{%s} ", name, ending, labels);
    else
        fprintf(out, "%s%s ", name, ending);
}

/* Whole microseconds as seconds, exactly, without zeros at the end. */
static void format_seconds(char text[32], long long us)
{
    int n = snprintf(text, 32, "%lld.%06lld", us / 1000000, us % 1000000);
    while (text[n - 1] == '0')
        n--;
    text[text[n - 1] == '.' ? n - 1 : n] = '\0';
}

static void put_value(FILE *out, enum form form, const json_t *value)
{
    char seconds[32];
    if (form == AS_SECONDS) {
        format_seconds(seconds, json_integer_value(value));
        fprintf(out, "%s\n", seconds);
    } else if (json_is_real(value)) {
        fprintf(out, "%.9g\n", json_real_value(value));
    } else {
        fprintf(out, "%lld\n", (long long)json_integer_value(value));
    }
}

static void put_bucket(FILE *out, const char *name, const char *labels, const char *bound, uint64_t count)
{
    fprintf(out, "%s_bucket{%s,le=\"%s\"} %llu\n", name, labels, bound, (unsigned long long)count);
}

static void put_count(FILE *out, const char *name, const char *labels, uint64_t count)
{
    put_bucket(out, name, labels, "+Inf", count);
    fprintf(out, "%s_count{%s} %llu\n", name, labels, (unsigned long long)count);
}

/* Counts never go back, whatever a daemon says. */
static uint64_t n_with(uint64_t n, uint64_t more)
{
    return n + more >= n ? n + more : UINT64_MAX;
}

/* Sizes of 1, 2, 3 to 4, 5 to 8 and so on. */
static void put_sizes(FILE *out, const struct metric *metric, const char *labels, const json_t *shard)
{
    uint64_t n = 0;
    size_t i;
    json_t *count;
    json_array_foreach(json_object_get(shard, metric->key), i, count)
    {
        char bound[32];
        snprintf(bound, sizeof(bound), "%u", 1u << (i <= LAST_SIZE_POWER ? i : 0));
        n = n_with(n, field_count(count));
        if (i > LAST_SIZE_POWER)
            continue;
        put_bucket(out, metric->name, labels, bound, n);
    }
    put_count(out, metric->name, labels, n);
    fprintf(out, "%s_sum{%s} %llu\n", metric->name, labels,
            (unsigned long long)field_count(json_object_get(shard, "batch_frames")));
}

static void put_lags(FILE *out, const struct metric *metric, const char *labels, const json_t *model)
{
    uint64_t counts[ATTNP_HISTOGRAM_BUCKETS] = {0}, n = 0;
    size_t bucket = 0;
    char seconds[32];
    stats_add_lags(model, counts);
    for (int power = FIRST_LAG_POWER; power <= LAST_LAG_POWER; power++) {
        for (; attnp_histogram_floor(bucket) < 1ull << power; bucket++)
            n = n_with(n, counts[bucket]);
        format_seconds(seconds, 1ll << power);
        put_bucket(out, metric->name, labels, seconds, n);
    }
    for (; bucket < ATTNP_HISTOGRAM_BUCKETS; bucket++)
        n = n_with(n, counts[bucket]);
    put_count(out, metric->name, labels, n);
    format_seconds(seconds, (long long)field_count(json_object_get(model, "lag_sum_us")));
    fprintf(out, "%s_sum{%s} %s\n", metric->name, labels, seconds);
}

/* Whether a value is what the metric counts: a number from 0 on, or a list. An older daemon does not tell all, and a
 * broken one something else. */
static bool is_told(enum form form, const json_t *value)
{
    if (form == AS_SIZES || form == AS_LAGS)
        return json_is_array(value);
    if (form == AS_SECONDS)
        return json_is_integer(value) && json_integer_value(value) >= 0;
    return json_is_number(value) && json_number_value(value) >= 0;
}

/* A metric of one thing with these labels; nothing where the daemon does not tell it. */
static void put_sample(FILE *out, const struct metric *metric, const char *labels, const json_t *entry)
{
    const json_t *value = json_object_get(entry, metric->key);
    if (!is_told(metric->form, value))
        return;
    if (metric->form == AS_SIZES) {
        put_sizes(out, metric, labels, entry);
    } else if (metric->form == AS_LAGS) {
        put_lags(out, metric, labels, entry);
    } else {
        put_name(out, metric->name, "", labels);
        put_value(out, metric->form, value);
    }
}

static void put_of_daemon(FILE *out, const struct metric *metric, const json_t *stats)
{
    char labels[LABELS_BYTES] = "";
    if (metric->form != AS_LABEL) {
        put_sample(out, metric, labels, stats);
        return;
    }
    if (!add_label(labels, "version", field_text(stats, metric->key, "unknown")))
        return;
    put_name(out, metric->name, "", labels);
    fputs("1\n", out);
}

static void put_of_errors(FILE *out, const struct metric *metric, const json_t *stats)
{
    const char *error;
    json_t *count;
    json_object_foreach(json_object_get(stats, metric->key), error, count)
    {
        char labels[LABELS_BYTES] = "";
        if (!is_told(metric->form, count) || !add_label(labels, "error", error))
            continue;
        put_name(out, metric->name, "", labels);
        put_value(out, metric->form, count);
    }
}

static void put_of_shards(FILE *out, const struct metric *metric, const json_t *stats)
{
    size_t i;
    json_t *shard;
    json_array_foreach(json_object_get(stats, "shards"), i, shard)
    {
        char labels[LABELS_BYTES] = "";
        if (add_shard(labels, shard))
            put_sample(out, metric, labels, shard);
    }
}

/* A model shows from its first stream on. */
static void put_of_models(FILE *out, const struct metric *metric, const json_t *stats)
{
    size_t i, j;
    json_t *model, *part;
    json_array_foreach(json_object_get(stats, "models"), i, model)
    {
        const char *name = field_text(model, "model", NULL);
        const json_t *parts = json_object_get(model, "shards");
        char labels[LABELS_BYTES] = "";
        if (!name || !add_label(labels, "model", name))
            continue;
        if (metric->scope == OF_MODEL && json_array_size(parts) > 0)
            put_sample(out, metric, labels, model);
        json_array_foreach(metric->scope == OF_PART ? parts : NULL, j, part)
        {
            char both[LABELS_BYTES];
            strcpy(both, labels);
            if (add_shard(both, part))
                put_sample(out, metric, both, part);
        }
    }
}

void metrics_text(FILE *out, const struct metric *metric, const json_t *stats)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n# UNIT %s %s\n", metric->name, metric->help, metric->name, metric->type,
            metric->name, metric->unit);
    switch (metric->scope) {
    case OF_DAEMON:
        put_of_daemon(out, metric, stats);
        break;
    case OF_ERROR:
        put_of_errors(out, metric, stats);
        break;
    case OF_SHARD:
        put_of_shards(out, metric, stats);
        break;
    case OF_MODEL:
    case OF_PART:
        put_of_models(out, metric, stats);
        break;
    }
}
