/* SPDX-License-Identifier: MIT */
#include "aggregate.h"

#include <string.h>

#include "exp2.h"

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

void attn_aggregates_clear(struct attn_run *run, struct attn_aggregates to, size_t first, size_t end, size_t d)
{
    for (size_t j = first; j < end; j++) {
        to.offset[j] = ATTN_EMPTY_OFFSET;
        to.sum[j] = 0.0f;
    }
    memset(to.vector + first * d, 0, (end - first) * d * sizeof(float));
    if (run != NULL)
        attn_run_count(run, 0, (end - first) * (d + 2));
}

void attn_aggregates_copy(struct attn_run *run, struct attn_aggregates to, struct attn_aggregates from, size_t m,
                          size_t d)
{
    memcpy(to.offset, from.offset, m * sizeof(float));
    memcpy(to.sum, from.sum, m * sizeof(float));
    memcpy(to.vector, from.vector, m * d * sizeof(float));
    attn_run_count(run, 0, 2 * m * (d + 2));
}

void attn_aggregates_extend(struct attn_run *run, struct attn_aggregates to, const float *logits, const float *value,
                            size_t m, size_t d, float *work)
{
    float *rescale = work, *weight = work + m;
    run->kernels->admit(m, to.offset, to.sum, rescale, weight, logits);
    attn_run_extend(run, m, d, to.vector, rescale, weight, value);
}

void attn_aggregates_fold(struct attn_run *run, const struct attn_link *links, size_t n_links,
                          struct attn_aggregates from, size_t j, size_t d)
{
    size_t n_rows = 0;
    for (size_t i = 0; i < n_links; i++)
        n_rows += links[i].n_rows;
    run->kernels->fold(n_links, d, links, from.offset[j], from.sum[j], from.vector + j * d);
    attn_run_count(run, (n_rows + n_links) * (d + 1), (n_rows + 2 * n_links) * (d + 1) + n_rows);
}

void attn_aggregates_merge(struct attn_run *run, struct attn_aggregates to, size_t j, struct attn_aggregates from,
                           size_t i, size_t d)
{
    float offset = to.offset[j] > from.offset[i] ? to.offset[j] : from.offset[i];
    float a = attn_exp2_integer(to.offset[j] - offset), b = attn_exp2_integer(from.offset[i] - offset);
    attn_run_blend(run, d, to.vector + j * d, a, to.vector + j * d, b, from.vector + i * d);
    to.offset[j] = offset;
    to.sum[j] = a * to.sum[j] + b * from.sum[i];
}

void attn_aggregates_merge_all(struct attn_run *run, struct attn_aggregates to, struct attn_aggregates from, size_t m,
                               size_t d)
{
    for (size_t j = 0; j < m; j++)
        attn_aggregates_merge(run, to, j, from, j, d);
}
