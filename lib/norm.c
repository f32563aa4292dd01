/* SPDX-License-Identifier: MIT */
#include "norm.h"

#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"

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

void attn_norm_apply(const struct attn_norm *norm, const struct attn_kernels *kernels, size_t m, float *y,
                     const float *x)
{
    for (size_t i = 0; i < m; i++)
        kernels->norm(norm->n, y + i * norm->n, x + i * norm->n, norm->weight, norm->bias);
}
