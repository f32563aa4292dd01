/* SPDX-License-Identifier: MIT */
#include "aggregate.h"

#include <string.h>

#include "exp2.h"
#include "kernel.h"

/* The offset of the empty aggregate: below every logit's, yet a difference of two offsets is still finite. */
#define EMPTY_OFFSET (-0x1p110f)

enum {
    VECTOR_ALIGN = 16 /* floats: vectors start on a cache line where the memory does */
};

static size_t scalars(size_t m)
{
    return (2 * m + VECTOR_ALIGN - 1) / VECTOR_ALIGN * VECTOR_ALIGN;
}

size_t attn_aggregates_floats(size_t m, size_t d)
{
    return scalars(m) + (m * d + VECTOR_ALIGN - 1) / VECTOR_ALIGN * VECTOR_ALIGN;
}

struct attn_aggregates attn_aggregates_at(float *memory, size_t m)
{
    return (struct attn_aggregates){.offset = memory, .sum = memory + m, .vector = memory + scalars(m)};
}

void attn_aggregates_clear(struct attn_aggregates to, size_t first, size_t end, size_t d)
{
    for (size_t j = first; j < end; j++) {
        to.offset[j] = EMPTY_OFFSET;
        to.sum[j] = 0.0f;
    }
    memset(to.vector + first * d, 0, (end - first) * d * sizeof(float));
}

void attn_aggregates_copy(struct attn_aggregates to, struct attn_aggregates from, size_t first, size_t end, size_t d)
{
    memcpy(to.offset + first, from.offset + first, (end - first) * sizeof(float));
    memcpy(to.sum + first, from.sum + first, (end - first) * sizeof(float));
    memcpy(to.vector + first * d, from.vector + first * d, (end - first) * d * sizeof(float));
}

void attn_aggregates_extend(struct attn_aggregates to, struct attn_aggregates from, const float *logits,
                            const float *value, size_t m, size_t d)
{
    for (size_t j = 0; j < m; j++) {
        float own = attn_ceil(logits[j]);
        float offset = from.offset[j] > own ? from.offset[j] : own;
        float rescale = attn_exp2_integer(from.offset[j] - offset);
        float weight = attn_exp2(logits[j] - offset);
        to.offset[j] = offset;
        to.sum[j] = rescale * from.sum[j] + weight;
        attn_kernel_blend(to.vector + j * d, from.vector + j * d, rescale, value, weight, d);
    }
}

void attn_aggregates_fold(struct attn_aggregates to, struct attn_aggregates from, size_t j, float *logits,
                          const float *values, size_t n_rows, size_t d)
{
    float *vector = to.vector + j * d;
    if (n_rows == 0) {
        attn_aggregates_copy(to, from, j, j + 1, d);
        return;
    }
    float own = attn_ceil(attn_kernel_max(logits, n_rows));
    float sum = attn_kernel_weights(logits, logits, own, n_rows);
    attn_kernel_combine(vector, logits, values, n_rows, d);
    float offset = from.offset[j] > own ? from.offset[j] : own;
    float own_scale = attn_exp2_integer(own - offset);
    float from_scale = attn_exp2_integer(from.offset[j] - offset);
    to.offset[j] = offset;
    to.sum[j] = own_scale * sum + from_scale * from.sum[j];
    attn_kernel_blend(vector, vector, own_scale, from.vector + j * d, from_scale, d);
}

void attn_aggregates_weigh(float *x_weights, float *y_weights, const float *w, struct attn_aggregates x,
                           struct attn_aggregates y, size_t m)
{
    for (size_t j = 0; j < m; j++) {
        float offset = x.offset[j] > y.offset[j] ? x.offset[j] : y.offset[j];
        float x_scale = attn_exp2_integer(x.offset[j] - offset);
        float y_scale = attn_exp2_integer(y.offset[j] - offset);
        float share = w[j] / (x_scale * x.sum[j] + y_scale * y.sum[j]);
        x_weights[j] = share * x_scale;
        y_weights[j] = share * y_scale;
    }
}
