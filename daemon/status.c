/* SPDX-License-Identifier: MIT */
#include "daemon/status.h"

#include <stdio.h>
#include <string.h>

#include "daemon/registry.h"
#include "daemon/traffic.h"
#include "daemon/users.h"

void status_init(struct status *status)
{
    memset(status, 0, sizeof(*status));
    status->since_us = shard_now_us();
}

/* "; p99 1.25 ms" of the interval; nothing where no output was made. */
static void tell_lag(const struct status *before, const struct traffic_sum *sum, char text[32])
{
    uint64_t counts[ATTNP_HISTOGRAM_BUCKETS];
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++)
        counts[i] = sum->lags[i] - before->lags[i];
    text[0] = '\0';
    if (sum->outputs > before->outputs)
        snprintf(text, 32, ", p99 %.2f ms", (double)attnp_histogram_quantile(counts, 0.99) / 1000);
}

void status_line(struct status *status, const struct shared *shared, char line[STATUS_BYTES])
{
    struct traffic_sum sum;
    char lag[32];
    uint64_t n_streams, bytes, most_streams, most_bytes, now_us = shard_now_us();
    double seconds = (double)(now_us - status->since_us) / 1e6;
    traffic_add_up(shared->traffic, 0, shared->n_shards, &sum);
    registry_totals(shared->registry, &n_streams, &bytes, &most_streams, &most_bytes);
    tell_lag(status, &sum, lag);
    snprintf(line, STATUS_BYTES,
             "%ju streams on %ju connections, %ju MiB of states; %.0f frames/s%s; %ju dropped, %ju skipped, %ju late",
             (uintmax_t)n_streams, (uintmax_t)users_total(shared->users, USERS_CONNECTIONS), (uintmax_t)(bytes >> 20),
             seconds > 0 ? (double)(sum.outputs - status->outputs) / seconds : 0, lag,
             (uintmax_t)(sum.dropped - status->dropped), (uintmax_t)(sum.skipped - status->skipped),
             (uintmax_t)(sum.missed - status->missed));
    status->since_us = now_us;
    status->outputs = sum.outputs;
    status->dropped = sum.dropped;
    status->skipped = sum.skipped;
    status->missed = sum.missed;
    memcpy(status->lags, sum.lags, sizeof(status->lags));
}
