/* SPDX-License-Identifier: MIT */
/* Logits and sums of the few frames of a segment, in one call each. */
#pragma once

static void logits_by_d(size_t d, size_t m, float *to, const float *x, const float *by_d)
{
    combine(d, m, to, 0.0f, to, x, by_d);
    clamp(m, to);
}

/* w[R] = 2^(logits − offset), and their sum; the offset becomes that of the frames too. */
static inline float fold_weights(size_t n_rows, float *w, const float *logits, float *offset)
{
    float own = vec_largest(vec_ceil(vec_set(max_of(n_rows, logits))));
    *offset = own > *offset ? own : *offset;
    return weights(n_rows, w, *offset, logits);
}

/* The same for R ≤ WIDTH, all of w being written: a store of less than a vector would have to reach the cache before
 * one weight of it could be read again. */
static inline float fold_weights_short(size_t n_rows, float w[static WIDTH], const float *logits, float *offset)
{
    vec logit = load_at_most(logits, n_rows, ATTN_EMPTY_OFFSET);
    float own = vec_largest(vec_ceil(logit));
    *offset = own > *offset ? own : *offset;
    vec weight = exp2_of(logit - vec_set(*offset));
    vec_store(w, weight);
    return vec_sum(weight);
}

/* vector = rescale · from + w[R] · values[R×d] where a row fits one vector. */
static inline void fold_narrow(size_t n_rows, size_t d, const struct attn_folding *folding, float rescale,
                               const float *w, const float *values)
{
    vec even = vec_set(0.0f), odd = even;
    size_t r = 0;
    for (; r + 2 <= n_rows; r += 2) {
        even = vec_fma(vec_set(w[r]), load_first(values + r * d, d), even);
        odd = vec_fma(vec_set(w[r + 1]), load_first(values + (r + 1) * d, d), odd);
    }
    if (r < n_rows)
        even = vec_fma(vec_set(w[r]), load_first(values + r * d, d), even);
    even += odd; /* last what there was: it is large, and each sum with it loses */
    if (rescale != 0.0f)
        even = vec_fma(vec_set(rescale), load_first(folding->from_vector, d), even);
    if (d == WIDTH)
        vec_store(folding->vector, even);
    else
        vec_store_part(folding->vector, even, d);
}

static void fold(size_t n_rows, size_t d, const struct attn_folding *folding, float *logits, const float *values)
{
    float offset = folding->from_offset, sum = 0.0f, few[WIDTH], *w = n_rows <= WIDTH ? few : logits;
    if (n_rows > WIDTH)
        sum = fold_weights(n_rows, logits, logits, &offset);
    else if (n_rows > 0)
        sum = fold_weights_short(n_rows, few, logits, &offset);
    float rescale = 0.0f;
    if (folding->from_sum > 0.0f)
        rescale = vec_largest(exp2_integer(vec_set(folding->from_offset - offset)));
    if (d <= WIDTH && n_rows <= WIDTH)
        fold_narrow(n_rows, d, folding, rescale, w, values);
    else
        combine(n_rows, d, folding->vector, rescale, folding->from_vector, w, values);
    *folding->sum = rescale * folding->from_sum + sum;
    *folding->offset = offset;
}
