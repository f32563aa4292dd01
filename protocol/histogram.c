/* SPDX-License-Identifier: MIT */
#include "protocol/histogram.h"

uint64_t attnp_histogram_quantile(const uint64_t counts[ATTNP_HISTOGRAM_BUCKETS], double share)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS; i++)
        total += counts[i];
    for (size_t i = 0; i < ATTNP_HISTOGRAM_BUCKETS && total > 0; i++) {
        seen += counts[i];
        if (seen > 0 && (double)seen >= share * (double)total)
            return attnp_histogram_floor(i + 1);
    }
    return 0;
}
