/* SPDX-License-Identifier: MIT */
/* The daemon's `stats` and `streams`, whole, where the daemon answers in parts. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "attnc/client.h"
#include "protocol/histogram.h"

/* All of `stats`; `detail`: with the models' histograms and shards. NULL on failure, which attnc_last_error tells; else
 * to be freed with json_decref. */
json_t *stats_ask(struct attnc_client *client, bool detail);

/* All of `streams`, an object with one array; as above. */
json_t *stats_ask_streams(struct attnc_client *client);

/* Adds the counts of a model's `histogram` to those of its buckets; what is no bucket is left out. */
void stats_add_lags(const json_t *model, uint64_t counts[ATTNP_HISTOGRAM_BUCKETS]);
