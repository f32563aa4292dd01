/* SPDX-License-Identifier: MIT */
/* Logits and sums of the few frames of a segment, in one call each. */
#pragma once

static void logits_by_d(size_t d, size_t m, float *to, const float *x, const float *by_d)
{
    combine(d, m, to, 0.0f, to, x, by_d);
    clamp(m, to);
}

/* 2^(logits − offset) in place, and their sum; the offset becomes that of the frames too. */
static inline float fold_weights(size_t n_rows, float *logits, float *offset)
{
    if (n_rows > WIDTH) {
        float own = vec_largest(vec_ceil(vec_set(max_of(n_rows, logits))));
        *offset = own > *offset ? own : *offset;
        return weights(n_rows, logits, *offset, logits);
    }
    vec logit = load_at_most(logits, n_rows, ATTN_EMPTY_OFFSET);
    float own = vec_largest(vec_ceil(logit));
    *offset = own > *offset ? own : *offset;
    vec weight = exp2_of(logit - vec_set(*offset));
    if (n_rows == WIDTH)
        vec_store(logits, weight);
    else
        vec_store_part(logits, weight, n_rows);
    return vec_sum(weight);
}

static void fold(size_t n_rows, size_t d, const struct attn_folding *folding, float *logits, const float *values)
{
    float offset = folding->from_offset, sum = 0.0f;
    if (n_rows > 0)
        sum = fold_weights(n_rows, logits, &offset);
    float rescale = 0.0f;
    if (folding->from_sum > 0.0f)
        rescale = vec_largest(exp2_integer(vec_set(folding->from_offset - offset)));
    combine(n_rows, d, folding->vector, rescale, folding->from_vector, logits, values);
    *folding->sum = rescale * folding->from_sum + sum;
    *folding->offset = offset;
}
