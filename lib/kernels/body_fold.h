/* SPDX-License-Identifier: MIT */
/* Logits and sums of the few frames of a segment, in one call each; chains of such sums. */
#pragma once

static void logits_by_d(size_t d, size_t m, float *to, const float *x, const float *by_d)
{
    if (m <= WIDTH && d <= BLOCK) {
        store_first(to, within_limit(combination(d, m, x, by_d)), m);
        return;
    }
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

/* w[R] · values[R×d] for a few rows that fit one vector. */
static inline vec fold_rows(size_t n_rows, size_t d, const float *w, const float *values)
{
    vec even = vec_set(0.0f), odd = even;
    size_t r = 0;
    for (; r + 2 <= n_rows; r += 2) {
        even = vec_fma(vec_set(w[r]), load_first(values + r * d, d), even);
        odd = vec_fma(vec_set(w[r + 1]), load_first(values + (r + 1) * d, d), odd);
    }
    if (r < n_rows)
        even = vec_fma(vec_set(w[r]), load_first(values + r * d, d), even);
    return even + odd;
}

/* Takes a link's rows in, and gives the factor of what was there before. */
static inline float fold_scalars(const struct attn_link *link, float *w, float *offset, float *sum)
{
    float before = *offset, added = 0.0f, rescale = 0.0f;
    if (link->n_rows > WIDTH)
        added = fold_weights(link->n_rows, w, link->logits, offset);
    else if (link->n_rows > 0)
        added = fold_weights_short(link->n_rows, w, link->logits, offset);
    if (*sum > 0.0f)
        rescale = vec_largest(exp2_integer(vec_set(before - *offset)));
    *sum = rescale * *sum + added;
    *link->offset = *offset;
    *link->sum = *sum;
    return rescale;
}

/* Rows that fit one vector: that of the chain stays in a register. */
static void fold_narrow(size_t n_links, size_t d, const struct attn_link *links, float offset, float sum,
                        const float *vector)
{
    vec chain = sum > 0.0f ? load_first(vector, d) : vec_set(0.0f);
    for (size_t i = 0; i < n_links; i++) {
        const struct attn_link *link = &links[i];
        float few[WIDTH], *w = link->n_rows > WIDTH ? link->logits : few;
        float rescale = fold_scalars(link, w, &offset, &sum);
        vec own;
        if (link->n_rows <= WIDTH) {
            own = fold_rows(link->n_rows, d, w, link->values);
        } else {
            combine(link->n_rows, d, link->vector, 0.0f, NULL, w, link->values);
            own = load_first(link->vector, d);
        }
        chain = vec_fma(vec_set(rescale), chain, own);
        store_first(link->vector, chain, d);
    }
}

static void fold(size_t n_links, size_t d, const struct attn_link *links, float offset, float sum, const float *vector)
{
    if (d <= WIDTH) {
        fold_narrow(n_links, d, links, offset, sum, vector);
        return;
    }
    for (size_t i = 0; i < n_links; i++) {
        const struct attn_link *link = &links[i];
        float few[WIDTH], *w = link->n_rows > WIDTH ? link->logits : few;
        float rescale = fold_scalars(link, w, &offset, &sum);
        combine(link->n_rows, d, link->vector, rescale, vector, w, link->values);
        vector = link->vector;
    }
}
