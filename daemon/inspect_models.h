/* SPDX-License-Identifier: MIT */
/* The part of `stats` that is about models: as many of them as fit what a message has left. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/models.h"
#include "daemon/shard.h"
#include "daemon/traffic.h"

/* Names at the same time: served ones, and those that were. */
#define INSPECT_MOST_NAMES (TRAFFIC_MOST_NAMES + MODELS_MOST)

/* What something takes of a message, at most: values with keys and maps, and bytes. */
struct inspect_size {
    uint64_t n_values, n_bytes;
};

/* Which models an answer tells of, by name. */
struct inspect_page {
    const struct shared *shared;
    struct model *models[MODELS_MOST]; /* served, and used until inspect_page_done */
    size_t n_models;
    const char *names[INSPECT_MOST_NAMES];
    size_t n_names;
    bool detail; /* with histograms, and the counts of each shard */
    bool more;   /* there are others */
};

/* Chooses those behind the name `after` [n_after] (NULL: from the first on) that fit `room`, but at least one. */
void inspect_page_init(struct inspect_page *page, const struct shared *shared, const char *after, size_t n_after,
                       bool detail, struct inspect_size room);
void inspect_page_done(struct inspect_page *page);

/* Writes two fields of a map, `models` and `more`. */
void inspect_page_put(const struct inspect_page *page, struct attnp_writer *writer);

/* The lag in microseconds below which this share of the outputs stayed, at most 1/16 too large. */
uint64_t inspect_lag(const struct traffic_sum *sum, double share);

/* Writes the field lag_us. */
void inspect_put_lags(struct attnp_writer *writer, const struct traffic_sum *sum);
