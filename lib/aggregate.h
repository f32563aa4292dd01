/* SPDX-License-Identifier: MIT */
/* Sums weighted by a softmax, as (max, sum, vector) that merge without ever subtracting (maths section 7). They know
 * nothing of where logits and values come from. */
#pragma once

#include <stddef.h>

/* m aggregates over values of d floats. Aggregate j stands for the terms i in it: offset[j] is an integer not below any
 * logit l_i and less than 1 above the largest; sum[j] = Σ 2^(l_i − offset), at least ½; vector[j] = Σ 2^(l_i − offset)
 * v_i. Integer offsets make every rescaling an exact product with a power of two. The empty aggregate has sum and
 * vector 0. */
struct attn_aggregates {
    float *offset; /* [m] */
    float *sum;    /* [m] */
    float *vector; /* [m][d] */
};

/* Floats of memory for m aggregates, and their places in it. */
size_t attn_aggregates_floats(size_t m, size_t d);
struct attn_aggregates attn_aggregates_at(float *memory, size_t m);

/* Makes the aggregates first … end − 1 empty. */
void attn_aggregates_clear(struct attn_aggregates to, size_t first, size_t end, size_t d);

/* Copies the aggregates first … end − 1 to other memory. */
void attn_aggregates_copy(struct attn_aggregates to, struct attn_aggregates from, size_t first, size_t end, size_t d);

/* to = from and one more term each: logits[m] with the one value[d]. `to` may be `from`. */
void attn_aggregates_extend(struct attn_aggregates to, struct attn_aggregates from, const float *logits,
                            const float *value, size_t m, size_t d);

/* Aggregate j of `to` = the terms logits[R], values[R×d], merged with aggregate j of `from` (other memory). R may be 0.
 * Uses up logits. */
void attn_aggregates_fold(struct attn_aggregates to, struct attn_aggregates from, size_t j, float *logits,
                          const float *values, size_t n_rows, size_t d);

/* x_weights[m] and y_weights[m], so that Σ_j (x_weights[j] x.vector[j] + y_weights[j] y.vector[j]) = Σ_j w[j] mean of x
 * and y merged. No merged aggregate is empty. */
void attn_aggregates_weigh(float *x_weights, float *y_weights, const float *w, struct attn_aggregates x,
                           struct attn_aggregates y, size_t m);
