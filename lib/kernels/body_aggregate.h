/* SPDX-License-Identifier: MIT */
/* Aggregates: (offset, sum, vector) of sets of frames, base 2, with integer offsets (aggregate.h). */
#pragma once

static inline vec load_first(const float *p, size_t n)
{
    return n == WIDTH ? vec_load(p) : vec_load_part(p, n);
}

static inline void store_first(float *p, vec x, size_t n)
{
    if (n == WIDTH)
        vec_store(p, x);
    else
        vec_store_part(p, x, n);
}

static void admit(size_t m, float *offset, float *sum, float *rescale, float *weight, const float *logit)
{
    for (size_t j = 0; j < m; j += WIDTH) {
        size_t n = m - j < WIDTH ? m - j : WIDTH;
        vec own = load_first(logit + j, n), old = load_first(offset + j, n);
        vec new = vec_max(old, vec_ceil(own));
        vec factor = exp2_integer(old - new), added = exp2_of(own - new);
        store_first(offset + j, new, n);
        store_first(sum + j, vec_fma(factor, load_first(sum + j, n), added), n);
        store_first(rescale + j, factor, n);
        store_first(weight + j, added, n);
    }
}

static void extend(size_t m, size_t d, float *vectors, const float *rescale, const float *weight, const float *v,
                   float *y, const float *b)
{
    for (size_t i = 0; i < d; i += WIDTH) {
        size_t n = d - i < WIDTH ? d - i : WIDTH;
        vec value = load_first(v + i, n);
        vec total = vec_set(0.0f);
        for (size_t j = 0; j < m; j++) {
            float *at = vectors + j * d + i;
            vec new = vec_fma(vec_set(rescale[j]), load_first(at, n), vec_set(weight[j]) * value);
            store_first(at, new, n);
            if (y != NULL)
                total = vec_fma(vec_set(b[j]), new, total);
        }
        if (y != NULL)
            store_first(y + i, load_first(y + i, n) + total, n);
    }
}

/* Of n landmarks from j on: the offset that all terms are taken from, and the sum of the terms. */
static inline void share_block(const struct attn_reading *reading, size_t j, size_t n, vec *offset, vec *share)
{
    size_t m = reading->m;
    vec most = vec_set(ATTN_EMPTY_OFFSET), sum = vec_set(0.0f);
    for (size_t r = 0; r < reading->n_rows; r++)
        most = vec_max(load_first(reading->logits + r * m + j, n), most);
    most = vec_ceil(most);
    for (size_t s = 0; s < reading->n_sources; s++)
        most = vec_max(load_first(reading->offset[s] + j, n), most);
    for (size_t s = 0; s < reading->n_sources; s++)
        sum = vec_fma(exp2_integer(load_first(reading->offset[s] + j, n) - most), load_first(reading->sum[s] + j, n),
                      sum);
    for (size_t r = 0; r < reading->n_rows; r++)
        sum += exp2_of(load_first(reading->logits + r * m + j, n) - most);
    vec w = load_first(reading->w + j, n), zero = vec_set(0.0f);
    vec_mask something = vec_less(zero, vec_abs(w));
    *offset = most;
    *share = vec_select(something, w / vec_select(something, sum, vec_set(1.0f)), zero);
}

static void shares(const struct attn_reading *reading)
{
    size_t m = reading->m;
    float *offset = reading->work, *share = offset + m;
    for (size_t j = 0; j < m; j += WIDTH) {
        size_t n = m - j < WIDTH ? m - j : WIDTH;
        vec most, part;
        share_block(reading, j, n, &most, &part);
        store_first(offset + j, most, n);
        store_first(share + j, part, n);
        for (size_t s = 0; s < reading->n_sources; s++)
            store_first(reading->source_weight[s] + j,
                        part * exp2_integer(load_first(reading->offset[s] + j, n) - most), n);
    }
    for (size_t r = 0; r < reading->n_rows; r++) {
        vec sum = vec_set(0.0f);
        for (size_t j = 0; j < m; j += WIDTH) {
            size_t n = m - j < WIDTH ? m - j : WIDTH;
            vec power = exp2_of(load_first(reading->logits + r * m + j, n) - load_first(offset + j, n));
            sum = vec_fma(load_first(share + j, n), power, sum);
        }
        reading->row_weight[r] = vec_sum(sum);
    }
}
