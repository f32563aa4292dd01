/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/top_sample.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attnctl/field.h"
#include "attnctl/stats.h"

int top_sample_take(struct top_sample *sample, struct attnc_client *client, struct problem *problem)
{
    struct timespec now;
    sample->streams = NULL;
    sample->stats = stats_ask(client, true, problem);
    clock_gettime(CLOCK_MONOTONIC, &now);
    sample->at_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    if (sample->stats)
        sample->streams = stats_ask_streams(client, problem);
    if (sample->streams)
        return 0;
    top_sample_done(sample);
    return -1;
}

void top_sample_done(struct top_sample *sample)
{
    json_decref(sample->stats);
    json_decref(sample->streams);
    *sample = (struct top_sample){0};
}

static const char *const orders[] = {"cpu", "lag", "late", "queue", "name"};

int top_order_of(const char *word)
{
    for (int i = 0; i < (int)(sizeof(orders) / sizeof(orders[0])); i++)
        if (strcmp(word, orders[i]) == 0)
            return i;
    return -1;
}

const char *top_order_word(enum top_order order)
{
    return orders[order];
}

/* How much a counter has grown; where it began anew, the daemon was restarted. */
static json_int_t growth(const json_t *before, const json_t *now, const char *key)
{
    json_int_t difference = field_difference(field_number(now, key), field_number(before, key));
    return difference >= 0 ? difference : field_number(now, key);
}

static void put_integer(json_t *to, const char *key, json_int_t value)
{
    json_object_set_new(to, key, json_integer(value));
}

static void put_real(json_t *to, const char *key, double value)
{
    json_object_set_new(to, key, json_real(value));
}

static void copy(json_t *to, const json_t *from, const char *key)
{
    if (json_object_get(from, key))
        json_object_set(to, key, json_object_get(from, key));
}

static void put_rate(json_t *to, const char *key, json_int_t n, double seconds)
{
    put_real(to, key, seconds > 0 ? (double)n / seconds : 0);
}

static void add_lags(const json_t *stats, uint64_t counts[ATTNP_HISTOGRAM_BUCKETS])
{
    size_t i;
    json_t *model;
    memset(counts, 0, ATTNP_HISTOGRAM_BUCKETS * sizeof(counts[0]));
    json_array_foreach(json_object_get(stats, "models"), i, model) stats_add_lags(model, counts);
}

/* Of the outputs of the interval, by the difference of the histograms. */
static json_t *lags_of(const struct top_sample *before, const struct top_sample *now)
{
    uint64_t then[ATTNP_HISTOGRAM_BUCKETS], counts[ATTNP_HISTOGRAM_BUCKETS];
    json_t *lags = json_object();
    add_lags(before->stats, then);
    add_lags(now->stats, counts);
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++)
        counts[i] = counts[i] >= then[i] ? counts[i] - then[i] : counts[i];
    put_integer(lags, "p50", (json_int_t)attnp_histogram_quantile(counts, 0.5));
    put_integer(lags, "p99", (json_int_t)attnp_histogram_quantile(counts, 0.99));
    put_integer(lags, "p999", (json_int_t)attnp_histogram_quantile(counts, 0.999));
    return lags;
}

static json_t *shards_of(const struct top_sample *before, const struct top_sample *now, double seconds)
{
    static const char *const copied[] = {"shard",          "utilisation", "claimed", "queue",
                                         "oldest_wait_us", "streams",     "parked",  "connections"};
    json_t *list = json_array(), *shard;
    size_t i;
    json_array_foreach(json_object_get(now->stats, "shards"), i, shard)
    {
        const json_t *then = json_array_get(json_object_get(before->stats, "shards"), i);
        json_t *entry = json_object();
        for (size_t j = 0; j < sizeof(copied) / sizeof(copied[0]); j++)
            copy(entry, shard, copied[j]);
        put_rate(entry, "cpu", growth(then, shard, "cpu_us"), seconds * 1e6);
        put_rate(entry, "frames_per_s", growth(then, shard, "batch_frames"), seconds);
        json_array_append_new(list, entry);
    }
    return list;
}

/* The streams of the look before, by number. */
static json_t *index_streams(const struct top_sample *sample)
{
    json_t *by_number = json_object(), *stream;
    size_t i;
    json_array_foreach(json_object_get(sample->streams, "streams"), i, stream)
    {
        char key[32];
        snprintf(key, sizeof(key), "%lld", (long long)field_number(stream, "stream"));
        json_object_set(by_number, key, stream);
    }
    return by_number;
}

static json_t *stream_entry(const json_t *then, const json_t *stream, double seconds)
{
    static const char *const copied[] = {"stream", "name", "model", "uid", "queue", "lag_us", "parked"};
    json_t *entry = json_object();
    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
        copy(entry, stream, copied[i]);
    put_rate(entry, "cpu", growth(then, stream, "cpu_us"), seconds * 1e6);
    put_rate(entry, "frames_per_s", growth(then, stream, "frames"), seconds);
    put_integer(entry, "refused", growth(then, stream, "refused"));
    put_integer(entry, "dropped", growth(then, stream, "dropped"));
    put_integer(entry, "skipped", growth(then, stream, "skipped"));
    put_integer(entry, "missed", growth(then, stream, "missed"));
    return entry;
}

static int compare(double a, double b)
{
    return a > b ? -1 : a < b;
}

static int by_cpu(const void *a, const void *b)
{
    const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
    int order = compare(json_real_value(json_object_get(one, "cpu")), json_real_value(json_object_get(other, "cpu")));
    return order != 0 ? order : compare((double)field_number(other, "stream"), (double)field_number(one, "stream"));
}

static int by_number(const void *a, const void *b, const char *key)
{
    int order = compare((double)field_number(*(json_t *const *)a, key), (double)field_number(*(json_t *const *)b, key));
    return order != 0 ? order : by_cpu(a, b);
}

static int by_lag(const void *a, const void *b)
{
    return by_number(a, b, "lag_us");
}

static int by_queue(const void *a, const void *b)
{
    return by_number(a, b, "queue");
}

static json_int_t n_late(const json_t *entry)
{
    json_int_t not_applied = field_sum(field_number(entry, "dropped"), field_number(entry, "skipped"));
    return field_sum(not_applied, field_number(entry, "missed"));
}

static int by_late(const void *a, const void *b)
{
    int order = compare((double)n_late(*(json_t *const *)a), (double)n_late(*(json_t *const *)b));
    return order != 0 ? order : by_cpu(a, b);
}

/* Those without a name come last. */
static int by_name(const void *a, const void *b)
{
    const char *one = json_string_value(json_object_get(*(json_t *const *)a, "name")),
               *other = json_string_value(json_object_get(*(json_t *const *)b, "name"));
    int order = one && other ? strcmp(one, other) : (one == NULL) - (other == NULL);
    return order != 0 ? order : by_cpu(a, b);
}

static json_t *sorted(json_t *entries, enum top_order order, size_t most)
{
    static int (*const functions[])(const void *, const void *) = {by_cpu, by_lag, by_late, by_queue, by_name};
    size_t n = json_array_size(entries);
    json_t **list = malloc((n + 1) * sizeof(*list)), *result = json_array();
    for (size_t i = 0; list && i < n; i++)
        list[i] = json_array_get(entries, i);
    if (list)
        qsort(list, n, sizeof(*list), functions[order]);
    for (size_t i = 0; list && i < n && i < most; i++)
        json_array_append(result, list[i]);
    free(list);
    return result;
}

static json_t *streams_of(const struct top_sample *before, const struct top_sample *now, double seconds,
                          enum top_order order, size_t most)
{
    json_t *then = index_streams(before), *entries = json_array(), *stream;
    size_t i;
    json_array_foreach(json_object_get(now->streams, "streams"), i, stream)
    {
        char key[32];
        snprintf(key, sizeof(key), "%lld", (long long)field_number(stream, "stream"));
        json_array_append_new(entries, stream_entry(json_object_get(then, key), stream, seconds));
    }
    json_t *list = sorted(entries, order, most);
    json_decref(entries);
    json_decref(then);
    return list;
}

json_t *top_difference(const struct top_sample *before, const struct top_sample *now, enum top_order order, size_t most)
{
    static const char *const copied[] = {"version", "uptime_s", "connections", "streams",
                                         "parked",  "queue",    "state_bytes"};
    static const char *const grown[] = {"frames", "outputs", "refused", "dropped", "skipped", "missed", "opened"};
    double seconds = now->at_s - before->at_s;
    json_t *result = json_object();
    put_real(result, "interval_s", seconds);
    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
        copy(result, now->stats, copied[i]);
    put_rate(result, "frames_per_s", growth(before->stats, now->stats, "frames"), seconds);
    for (size_t i = 0; i < sizeof(grown) / sizeof(grown[0]); i++)
        put_integer(result, grown[i], growth(before->stats, now->stats, grown[i]));
    json_object_set_new(result, "lag_us", lags_of(before, now));
    json_object_set_new(result, "shards", shards_of(before, now, seconds));
    json_object_set_new(result, "top", streams_of(before, now, seconds, order, most));
    return result;
}
