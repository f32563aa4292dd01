/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_samples.h"

#include <stdlib.h>

int bench_samples_init(struct bench_samples *samples, size_t capacity)
{
    *samples = (struct bench_samples){.ns = calloc(capacity, sizeof(*samples->ns)), .capacity = capacity};
    return samples->ns ? 0 : -1;
}

void bench_samples_done(struct bench_samples *samples)
{
    free(samples->ns);
    *samples = (struct bench_samples){0};
}

static int compare_ns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_samples_median_us(struct bench_samples *samples)
{
    if (samples->n == 0)
        return 0;
    qsort(samples->ns, samples->n, sizeof(*samples->ns), compare_ns);
    return samples->ns[samples->n / 2] / 1000.0;
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare_values);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}
