/* SPDX-License-Identifier: MIT */
/* The line that `systemctl status` shows: how many are served, and how the last interval went. Main thread. */
#pragma once

#include "daemon/shard.h"
#include "protocol/histogram.h"

/* What had been counted when the last line was made. */
struct status {
    uint64_t since_us, outputs, dropped, skipped, missed;
    uint64_t lags[ATTNP_HISTOGRAM_BUCKETS];
};

/* From here on intervals are measured. */
void status_init(struct status *status);

#define STATUS_BYTES 200

/* Makes the line for the interval since the last one, and begins the next. */
void status_line(struct status *status, const struct shared *shared, char line[STATUS_BYTES]);
