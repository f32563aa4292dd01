/* SPDX-License-Identifier: MIT */
/* Sums weighted by a softmax, as (max, sum, vector) that merge without ever subtracting (maths section 7). They know
 * nothing of where logits and values come from. */
#pragma once

#include <stddef.h>

#include "run.h"

/* m aggregates over values of d floats. Aggregate j stands for the terms i in it: offset[j] is an integer not below any
 * logit l_i and less than 1 above the largest; sum[j] = Σ 2^(l_i − offset), at least ½; vector[j] = Σ 2^(l_i − offset)
 * v_i. Integer offsets make every rescaling an exact product with a power of two. The empty aggregate has the offset
 * ATTN_EMPTY_OFFSET, and sum and vector 0. */
struct attn_aggregates {
    float *offset; /* [m] */
    float *sum;    /* [m] */
    float *vector; /* [m][d] */
};

/* Floats of memory for m aggregates, and their places in it. */
size_t attn_aggregates_floats(size_t m, size_t d);
struct attn_aggregates attn_aggregates_at(float *memory, size_t m);

/* Makes the aggregates first … end − 1 empty. `run` may be NULL: then it is not counted, for it is no step. */
void attn_aggregates_clear(struct attn_run *run, struct attn_aggregates to, size_t first, size_t end, size_t d);

/* to = from, for all m. */
void attn_aggregates_copy(struct attn_run *run, struct attn_aggregates to, struct attn_aggregates from, size_t m,
                          size_t d);

/* One more term each joins the aggregates: logits[m] with the one value[d]. `work`: 2m floats. */
void attn_aggregates_extend(struct attn_run *run, struct attn_aggregates to, const float *logits, const float *value,
                            size_t m, size_t d, float *work);

/* A chain of aggregates: each is the one before it, the first of all aggregate j of `from`, and its own terms. The
 * first may be one of them. */
void attn_aggregates_fold(struct attn_run *run, const struct attn_link *links, size_t n_links,
                          struct attn_aggregates from, size_t j, size_t d);

/* Aggregate j of `to` takes in aggregate i of `from`, which is other memory. */
void attn_aggregates_merge(struct attn_run *run, struct attn_aggregates to, size_t j, struct attn_aggregates from,
                           size_t i, size_t d);

/* Each aggregate of `to` takes in that of `from`. */
void attn_aggregates_merge_all(struct attn_run *run, struct attn_aggregates to, struct attn_aggregates from, size_t m,
                               size_t d);
