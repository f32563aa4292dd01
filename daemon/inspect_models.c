/* SPDX-License-Identifier: MIT */
/*
 * All is read from counters that their shards go on writing, without asking them: numbers that belong together may
 * differ by the frames of that moment. Sizes are bounded from above, never measured: a histogram counts with the
 * buckets that are in use, and some more, since others may come into use before it is written.
 */
#include "daemon/inspect_models.h"

#include <stdlib.h>
#include <string.h>

#define MODEL_VALUES  48
#define MODEL_BYTES   (512 + ATTNP_MAX_MODEL)
#define BUCKET_VALUES 3
#define BUCKET_BYTES  13
#define PART_VALUES   21
#define PART_BYTES    256
#define SPARE_BUCKETS 16

/* Adds up what is counted under one name; returns on how many shards the name was ever used. */
static uint32_t add_up_name(const struct shared *shared, const char *name, struct traffic_sum *sum)
{
    int index = traffic_find(shared->traffic, name);
    uint32_t n_parts = 0;
    memset(sum, 0, sizeof(*sum));
    for (unsigned shard = 0; index >= 0 && shard < shared->n_shards; shard++)
        n_parts += traffic_add(shared->traffic, (size_t)index, shard, sum);
    return n_parts;
}

static uint32_t used_buckets(const struct traffic_sum *sum)
{
    uint32_t n = 0;
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++)
        n += sum->lags[i] != 0;
    return n;
}

static struct inspect_size size_of(const struct inspect_page *page, const char *name)
{
    struct inspect_size size = {MODEL_VALUES, MODEL_BYTES};
    struct traffic_sum sum;
    if (page->detail) {
        uint32_t n_parts = add_up_name(page->shared, name, &sum);
        uint32_t n_buckets = used_buckets(&sum) + SPARE_BUCKETS;
        size.n_values += n_buckets * BUCKET_VALUES + n_parts * PART_VALUES;
        size.n_bytes += n_buckets * BUCKET_BYTES + n_parts * PART_BYTES;
    }
    return size;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each name once, rising. */
static void find_names(struct inspect_page *page)
{
    size_t n_counted = traffic_n_names(page->shared->traffic), n = 0;
    for (size_t i = 0; i < page->n_models; i++)
        page->names[page->n_names++] = page->models[i]->name;
    for (size_t i = 0; i < n_counted; i++)
        page->names[page->n_names++] = traffic_name(page->shared->traffic, i);
    qsort(page->names, page->n_names, sizeof(page->names[0]), by_name);
    for (size_t i = 0; i < page->n_names; i++)
        if (n == 0 || strcmp(page->names[n - 1], page->names[i]) != 0)
            page->names[n++] = page->names[i];
    page->n_names = n;
}

static bool is_behind(const char *name, const char *after, size_t n_after)
{
    int order = strncmp(name, after, n_after);
    return order > 0 || (order == 0 && strlen(name) > n_after);
}

void inspect_page_init(struct inspect_page *page, const struct shared *shared, const char *after, size_t n_after,
                       bool detail, struct inspect_size room)
{
    size_t n = 0, i = 0;
    page->shared = shared;
    page->detail = detail;
    page->n_models = models_list(shared->models, page->models);
    page->n_names = 0;
    find_names(page);
    while (after != NULL && i < page->n_names && !is_behind(page->names[i], after, n_after))
        i++;
    for (; i < page->n_names; i++) {
        struct inspect_size size = size_of(page, page->names[i]);
        if (n > 0 && (size.n_values > room.n_values || size.n_bytes > room.n_bytes))
            break;
        room.n_values -= size.n_values < room.n_values ? size.n_values : room.n_values;
        room.n_bytes -= size.n_bytes < room.n_bytes ? size.n_bytes : room.n_bytes;
        page->names[n++] = page->names[i];
    }
    page->more = i < page->n_names;
    page->n_names = n;
}

void inspect_page_done(struct inspect_page *page)
{
    for (size_t i = 0; i < page->n_models; i++)
        model_release(page->models[i]);
}

/* A bucket's end lies beyond all that was counted in it: no more is told than the largest lag. */
uint64_t inspect_lag(const struct traffic_sum *sum, double share)
{
    uint64_t lag_us = attnp_histogram_quantile(sum->lags, share);
    return lag_us < sum->lag_max_us ? lag_us : sum->lag_max_us;
}

void inspect_put_lags(struct attnp_writer *writer, const struct traffic_sum *sum)
{
    attnp_write_key(writer, "lag_us");
    attnp_write_map(writer, 4);
    attnp_put_uint(writer, "p50", inspect_lag(sum, 0.5));
    attnp_put_uint(writer, "p99", inspect_lag(sum, 0.99));
    attnp_put_uint(writer, "p999", inspect_lag(sum, 0.999));
    attnp_put_uint(writer, "max", sum->lag_max_us);
}

/* Nine fields. */
static void put_counts(struct attnp_writer *writer, const struct traffic_sum *sum)
{
    attnp_put_uint(writer, "streams", sum->streams);
    attnp_put_uint(writer, "queue", traffic_waiting(sum));
    attnp_put_uint(writer, "frames", sum->frames);
    attnp_put_uint(writer, "outputs", sum->outputs);
    attnp_put_uint(writer, "refused", sum->refused);
    attnp_put_uint(writer, "dropped", sum->dropped);
    attnp_put_uint(writer, "skipped", sum->skipped);
    attnp_put_uint(writer, "missed", sum->missed);
    attnp_put_uint(writer, "cpu_us", sum->computing_ns / 1000);
}

static void put_histogram(struct attnp_writer *writer, const struct traffic_sum *sum)
{
    attnp_write_key(writer, "histogram");
    attnp_write_array(writer, used_buckets(sum));
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++) {
        if (sum->lags[i] == 0)
            continue;
        attnp_write_array(writer, 2);
        attnp_write_uint(writer, i);
        attnp_write_uint(writer, sum->lags[i]);
    }
}

/* The first n_parts shards that the name is used on: another may have come meanwhile. */
static void put_parts(struct attnp_writer *writer, const struct shared *shared, const char *name, uint32_t n_parts)
{
    int index = traffic_find(shared->traffic, name);
    attnp_write_key(writer, "shards");
    attnp_write_array(writer, n_parts);
    for (unsigned shard = 0; n_parts > 0 && shard < shared->n_shards; shard++) {
        struct traffic_sum sum = {0};
        if (!traffic_add(shared->traffic, (size_t)index, shard, &sum))
            continue;
        attnp_write_map(writer, 10);
        attnp_put_uint(writer, "shard", shard);
        put_counts(writer, &sum);
        n_parts--;
    }
}

static void put_model(const struct inspect_page *page, struct attnp_writer *writer, const char *name)
{
    struct traffic_sum sum;
    uint32_t n_parts = add_up_name(page->shared, name, &sum);
    attnp_write_map(writer, page->detail ? 14 : 11);
    attnp_put_string(writer, "model", name);
    put_counts(writer, &sum);
    inspect_put_lags(writer, &sum);
    if (!page->detail)
        return;
    attnp_put_uint(writer, "lag_sum_us", sum.lag_sum_us);
    put_histogram(writer, &sum);
    put_parts(writer, page->shared, name, n_parts);
}

void inspect_page_put(const struct inspect_page *page, struct attnp_writer *writer)
{
    attnp_write_key(writer, "models");
    attnp_write_array(writer, (uint32_t)page->n_names);
    for (size_t i = 0; i < page->n_names; i++)
        put_model(page, writer, page->names[i]);
    attnp_put_bool(writer, "more", page->more);
}
