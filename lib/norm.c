/* SPDX-License-Identifier: MIT */
#include "norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"

#define EPSILON 1e-5
#define LANES   8u /* partial sums, so that sums run in vectors; in double, so that no square of a float overflows */

int attn_norm_init(struct attn_norm *norm, uint32_t n, const void *weight, const void *bias)
{
    norm->n = n;
    norm->weight = malloc(n * sizeof(float));
    norm->bias = malloc(n * sizeof(float));
    if (norm->weight == NULL || norm->bias == NULL)
        return ATTN_E_MEMORY;
    memcpy(norm->weight, weight, n * sizeof(float));
    memcpy(norm->bias, bias, n * sizeof(float));
    return 0;
}

void attn_norm_done(struct attn_norm *norm)
{
    free(norm->weight);
    free(norm->bias);
    memset(norm, 0, sizeof(*norm));
}

/* Σ (x − centre)^power with power 1 or 2 */
static double sum_of_powers(const float *x, size_t n, double centre, int power)
{
    double lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += power == 1 ? x[i + j] - centre : (x[i + j] - centre) * (x[i + j] - centre);
    for (; i < n; i++)
        sum += power == 1 ? x[i] - centre : (x[i] - centre) * (x[i] - centre);
    for (size_t j = 0; j < LANES; j++)
        sum += lanes[j];
    return sum;
}

void attn_norm_apply(const struct attn_norm *norm, float *y, const float *x)
{
    double mean = sum_of_powers(x, norm->n, 0, 1) / norm->n;
    double variance = sum_of_powers(x, norm->n, mean, 2) / norm->n;
    double scale = 1 / sqrt(variance + EPSILON);
    for (size_t i = 0; i < norm->n; i++)
        y[i] = (float)((x[i] - mean) * scale) * norm->weight[i] + norm->bias[i];
}
