/* SPDX-License-Identifier: MIT */
/*
 * share_j = w_j / S_j with S_j = Σ_s 2^(offset_sj − O_j) sum_sj + Σ_r 2^(L_rj − O_j), where the offset O_j is the
 * largest of all. The factor of a source is share_j · 2^(offset_sj − O_j), that of a frame Σ_j share_j · 2^(L_rj −
 * O_j).
 */
#pragma once

#include "body_aggregate.h"

enum {
    KEPT = 128,      /* powers that are kept from the first use to the second; more are computed twice */
    SHARE_CHAINS = 4 /* sums side by side */
};

/* n landmarks from j on. */
struct share_block {
    size_t j, n;
    vec offset, share;
};

static inline vec logits_of(const struct attn_reading *reading, size_t r, const struct share_block *block)
{
    return load_first(reading->logits + r * reading->m + block->j, block->n);
}

static inline vec source_scale(const struct attn_reading *reading, size_t s, const struct share_block *block)
{
    return exp2_integer(load_first(reading->offset[s] + block->j, block->n) - block->offset);
}

static inline vec largest_offset(const struct attn_reading *reading, const struct share_block *block)
{
    vec most = vec_set(ATTN_EMPTY_OFFSET), other = most;
    size_t r = 0;
    for (; r + 2 <= reading->n_rows; r += 2) {
        most = vec_max(logits_of(reading, r, block), most);
        other = vec_max(logits_of(reading, r + 1, block), other);
    }
    if (r < reading->n_rows)
        most = vec_max(logits_of(reading, r, block), most);
    most = vec_ceil(vec_max(most, other));
    for (size_t s = 0; s < reading->n_sources; s++)
        most = vec_max(load_first(reading->offset[s] + block->j, block->n), most);
    return most;
}

/* Fills offset and share, and the powers of the rows, if they are to be kept. */
static inline void share(const struct attn_reading *reading, struct share_block *block, vec *powers)
{
    size_t n_rows = reading->n_rows;
    vec sum[SHARE_CHAINS], zero = vec_set(0.0f);
    EACH (c, SHARE_CHAINS)
        sum[c] = zero;
    block->offset = largest_offset(reading, block);
    for (size_t r = 0; r < n_rows; r += SHARE_CHAINS) {
        EACH (c, SHARE_CHAINS) {
            if (r + c < n_rows) {
                vec power = exp2_of(logits_of(reading, r + c, block) - block->offset);
                if (powers != NULL)
                    powers[r + c] = power;
                sum[c] += power;
            }
        }
    }
    vec all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    for (size_t s = 0; s < reading->n_sources; s++)
        all = vec_fma(source_scale(reading, s, block), load_first(reading->sum[s] + block->j, block->n), all);
    vec w = load_first(reading->w + block->j, block->n);
    vec_mask any = vec_less(zero, vec_abs(w));
    block->share = vec_select(any, w / vec_select(any, all, vec_set(1.0f)), zero);
}

/* The factor of row r before its lanes are summed; in work: the offsets and shares of all landmarks. */
static inline vec row_weight(const struct attn_reading *reading, size_t r, const vec *powers)
{
    size_t m = reading->m;
    const float *offset = reading->work, *share = offset + m;
    vec sum = vec_set(0.0f);
    for (size_t j = 0; j < m; j += WIDTH) {
        struct share_block block = {.j = j, .n = m - j < WIDTH ? m - j : WIDTH};
        vec power = powers != NULL ? powers[j / WIDTH * reading->n_rows + r]
                                   : exp2_of(logits_of(reading, r, &block) - load_first(offset + j, block.n));
        sum = vec_fma(load_first(share + j, block.n), power, sum);
    }
    return sum;
}

static void row_weights(const struct attn_reading *reading, const vec *powers)
{
    size_t n_rows = reading->n_rows, r = 0;
    for (; r + WIDTH <= n_rows; r += WIDTH) {
        vec sum[WIDTH];
        for (size_t i = 0; i < WIDTH; i++)
            sum[i] = row_weight(reading, r + i, powers);
        vec_store(reading->row_weight + r, vec_sums(sum));
    }
    for (; r < n_rows; r++)
        reading->row_weight[r] = vec_sum(row_weight(reading, r, powers));
}

static void shares(const struct attn_reading *reading)
{
    size_t m = reading->m, n_rows = reading->n_rows;
    vec kept[KEPT], *powers = (m + WIDTH - 1) / WIDTH * n_rows <= KEPT ? kept : NULL;
    for (size_t j = 0; j < m; j += WIDTH) {
        struct share_block block = {.j = j, .n = m - j < WIDTH ? m - j : WIDTH};
        share(reading, &block, powers != NULL ? powers + j / WIDTH * n_rows : NULL);
        store_first(reading->work + j, block.offset, block.n);
        store_first(reading->work + m + j, block.share, block.n);
        for (size_t s = 0; s < reading->n_sources; s++)
            store_first(reading->source_weight[s] + j, block.share * source_scale(reading, s, &block), block.n);
    }
    row_weights(reading, powers);
}
