/* SPDX-License-Identifier: MIT */
/* One metric of the daemon's as Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). It
 * knows where in `stats` values stand, and no metric. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* What a value is about, and so its labels. */
enum scope {
    OF_DAEMON,
    OF_ERROR, /* error */
    OF_SHARD, /* shard */
    OF_MODEL, /* model */
    OF_PART   /* model, shard */
};

enum form { AS_NUMBER, AS_SECONDS, AS_LABEL, AS_SIZES, AS_LAGS };

struct metric {
    const char *name, *type, *unit, *help;
    enum scope scope;
    enum form form;
    const char *key; /* in `stats`, in an entry of its shards or models, or of a model's shards */
};

/* Writes the metric with its HELP, TYPE and UNIT (a comment in this format, no comment in OpenMetrics); without samples
 * where the daemon, an older one, does not tell it. */
void metrics_text(FILE *out, const struct metric *metric, const json_t *stats);
