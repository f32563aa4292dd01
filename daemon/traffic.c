/* SPDX-License-Identifier: MIT */
/*
 * A model on a shard has its own block of counts, so that no two threads write to one, and adding up gives those of a
 * model, of a shard, or of all. A hundred models on a hundred shards would be 40 MiB of blocks, most of them zeros: so
 * one is made when the first stream of the model is opened on the shard.
 *
 * Names are never removed: Prometheus takes a counter that begins anew for a restart. What a reload could add without
 * end is bounded by counting further names together.
 */
#include "daemon/traffic.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/limits.h"

struct entry {
    char name[ATTNP_MAX_MODEL + 1];
    _Atomic(struct traffic *) parts[]; /* [n_shards], NULL before the first stream there */
};

struct traffic_book {
    pthread_mutex_t mutex; /* of who adds a name or a part */
    unsigned n_shards;
    atomic_size_t n;
    struct entry *entries[TRAFFIC_MOST_NAMES];
};

void traffic_move(struct traffic *from, struct traffic *to)
{
    if (from != NULL)
        atomic_fetch_sub_explicit(&from->streams, 1, memory_order_relaxed);
    if (to != NULL)
        atomic_fetch_add_explicit(&to->streams, 1, memory_order_relaxed);
}

void traffic_frames(struct traffic *traffic, uint64_t n)
{
    counters_add(&traffic->frames, n);
}

void traffic_output(struct traffic *traffic, uint64_t lag_us, bool is_missed)
{
    counters_add(&traffic->outputs, 1);
    counters_add(&traffic->missed, is_missed);
    counters_add(&traffic->lag_sum_us, lag_us);
    counters_add(&traffic->lags[attnp_histogram_bucket(lag_us)], 1);
    if (lag_us > counters_get(&traffic->lag_max_us))
        counters_set(&traffic->lag_max_us, lag_us);
}

void traffic_refused(struct traffic *traffic)
{
    counters_add(&traffic->refused, 1);
}

void traffic_dropped(struct traffic *traffic, uint64_t n)
{
    counters_add(&traffic->dropped, n);
}

void traffic_skipped(struct traffic *traffic)
{
    counters_add(&traffic->skipped, 1);
}

void traffic_batch(struct traffic *traffic, size_t n, uint64_t took_ns)
{
    size_t bucket = n > 1 ? (size_t)(64 - __builtin_clzll((unsigned long long)n - 1)) : 0;
    counters_add(&traffic->sizes[bucket < TRAFFIC_SIZES ? bucket : TRAFFIC_SIZES - 1], 1);
    counters_add(&traffic->computed, n);
    counters_add(&traffic->computing_ns, took_ns);
}

struct traffic_book *traffic_book_new(unsigned n_shards)
{
    struct traffic_book *book = calloc(1, sizeof(*book));
    if (book == NULL)
        return NULL;
    book->n_shards = n_shards;
    pthread_mutex_init(&book->mutex, NULL);
    return book;
}

void traffic_book_free(struct traffic_book *book)
{
    if (book == NULL)
        return;
    for (size_t i = 0; i < book->n; i++) {
        for (unsigned shard = 0; shard < book->n_shards; shard++)
            free(atomic_load(&book->entries[i]->parts[shard]));
        free(book->entries[i]);
    }
    pthread_mutex_destroy(&book->mutex);
    free(book);
}

static const char *name_of(const char *model)
{
    return model[0] != '\0' ? model : TRAFFIC_ATTENTION;
}

static struct entry *find(const struct traffic_book *book, const char *name)
{
    for (size_t i = 0; i < book->n; i++)
        if (strcmp(book->entries[i]->name, name) == 0)
            return book->entries[i];
    return NULL;
}

static struct entry *add_entry(struct traffic_book *book, const char *name)
{
    struct entry *entry = calloc(1, sizeof(*entry) + book->n_shards * sizeof(entry->parts[0]));
    if (entry == NULL)
        return NULL;
    strcpy(entry->name, name); /* at most ATTNP_MAX_MODEL, by the models' loader */
    book->entries[book->n] = entry;
    atomic_fetch_add(&book->n, 1);
    return entry;
}

static struct entry *find_or_add(struct traffic_book *book, const char *name)
{
    struct entry *entry = find(book, name);
    if (entry != NULL)
        return entry;
    if (book->n < TRAFFIC_MOST_NAMES - 1)
        return add_entry(book, name);
    entry = find(book, TRAFFIC_OTHERS);
    return entry != NULL || book->n == TRAFFIC_MOST_NAMES ? entry : add_entry(book, TRAFFIC_OTHERS);
}

struct traffic *traffic_of(struct traffic_book *book, const char *model, unsigned shard)
{
    struct traffic *part = NULL;
    pthread_mutex_lock(&book->mutex);
    struct entry *entry = find_or_add(book, name_of(model));
    if (entry != NULL && (part = atomic_load(&entry->parts[shard])) == NULL) {
        part = calloc(1, sizeof(*part));
        atomic_store(&entry->parts[shard], part);
    }
    pthread_mutex_unlock(&book->mutex);
    return part;
}

size_t traffic_n_names(struct traffic_book *book)
{
    return atomic_load(&book->n);
}

const char *traffic_name(const struct traffic_book *book, size_t index)
{
    return book->entries[index]->name;
}

int traffic_find(struct traffic_book *book, const char *model)
{
    size_t n = traffic_n_names(book);
    for (size_t i = 0; i < n; i++)
        if (strcmp(book->entries[i]->name, name_of(model)) == 0)
            return (int)i;
    return -1;
}

bool traffic_add(const struct traffic_book *book, size_t index, unsigned shard, struct traffic_sum *sum)
{
    const struct traffic *part = atomic_load(&book->entries[index]->parts[shard]);
    if (part == NULL)
        return false;
    sum->streams += counters_get(&part->streams);
#define X(name) sum->name += counters_get(&part->name);
    TRAFFIC_COUNTS(X)
#undef X
    uint64_t max_us = counters_get(&part->lag_max_us);
    sum->lag_max_us = max_us > sum->lag_max_us ? max_us : sum->lag_max_us;
    for (size_t i = 0; i < TRAFFIC_SIZES; i++)
        sum->sizes[i] += counters_get(&part->sizes[i]);
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++)
        sum->lags[i] += counters_get(&part->lags[i]);
    return true;
}

void traffic_add_up(struct traffic_book *book, unsigned first, unsigned end, struct traffic_sum *sum)
{
    size_t n_names = traffic_n_names(book);
    memset(sum, 0, sizeof(*sum));
    for (size_t i = 0; i < n_names; i++)
        for (unsigned shard = first; shard < end; shard++)
            traffic_add(book, i, shard, sum);
}

uint64_t traffic_streams(struct traffic_book *book, unsigned shard)
{
    size_t n_names = traffic_n_names(book);
    uint64_t n_streams = 0;
    for (size_t i = 0; i < n_names; i++) {
        const struct traffic *part = atomic_load(&book->entries[i]->parts[shard]);
        n_streams += part != NULL ? counters_get(&part->streams) : 0;
    }
    return n_streams;
}

void traffic_computed(struct traffic_book *book, unsigned shard, uint64_t *n_frames, uint64_t *computing_ns)
{
    size_t n_names = traffic_n_names(book);
    *n_frames = *computing_ns = 0;
    for (size_t i = 0; i < n_names; i++) {
        const struct traffic *part = atomic_load(&book->entries[i]->parts[shard]);
        if (part == NULL)
            continue;
        *n_frames += counters_get(&part->outputs) + counters_get(&part->refused);
        *computing_ns += counters_get(&part->computing_ns);
    }
}

uint64_t traffic_waiting(const struct traffic_sum *sum)
{
    uint64_t settled = sum->outputs + sum->refused + sum->dropped + sum->skipped;
    return sum->frames > settled ? sum->frames - settled : 0;
}
