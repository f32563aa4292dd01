/* SPDX-License-Identifier: MIT */
/* What happened between two looks at the daemon, as one JSON object: what `attnctl top` prints and draws (attnctl(1)
 * names its keys). */
#pragma once

#include <jansson.h>

#include "attnc/client.h"
#include "attnctl/problem.h"

/* One look. */
struct top_sample {
    double at_s;
    json_t *stats, *streams; /* its own */
};

/* Looks. 0, or -1 and a problem. */
int top_sample_take(struct top_sample *sample, struct attnc_client *client, struct problem *problem);
void top_sample_done(struct top_sample *sample);

enum top_order { TOP_BY_CPU, TOP_BY_LAG, TOP_BY_LATE, TOP_BY_QUEUE, TOP_BY_NAME };

/* The order of this word ("cpu", "lag", "late", "queue", "name"); -1: none. And the word. */
int top_order_of(const char *word);
const char *top_order_word(enum top_order order);

/* The difference; to be freed with json_decref. Its "top" has at most `most` streams in this order. */
json_t *top_difference(const struct top_sample *before, const struct top_sample *now, enum top_order order,
                       size_t most);
