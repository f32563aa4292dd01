/* SPDX-License-Identifier: MIT */
/* The daemon's `stats` and `streams`, whole, where the daemon answers in parts; and what every answer has to be. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "attnc/client.h"
#include "attnctl/problem.h"
#include "protocol/histogram.h"

/* All of `stats`, an object; `detail`: with the models' histograms and shards. NULL and a problem; else to be freed
 * with json_decref. */
json_t *stats_ask(struct attnc_client *client, bool detail, struct problem *problem);

/* All of `streams`, an object with the array `streams`; as above. */
json_t *stats_ask_streams(struct attnc_client *client, struct problem *problem);

/* 0 where the answer to a method is an object, with an array at `list` where that is not NULL; else −1 and a problem.
 */
int stats_check(const json_t *answer, const char *method, const char *list, struct problem *problem);

/* The client's last error as a problem. Returns −1. */
int stats_fail(const struct attnc_client *client, const char *method, struct problem *problem);

/* Adds the counts of a model's `histogram` to those of its buckets; what is no bucket is left out. */
void stats_add_lags(const json_t *model, uint64_t counts[ATTNP_HISTOGRAM_BUCKETS]);
