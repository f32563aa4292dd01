/* SPDX-License-Identifier: MIT */
/* The state of a head is two rings, keys [n][d] and values [n][d]: position t is in row t mod n. The sums run over the
 * rows in the order of the slots, so that the output does not depend on when the stream began. */
#include "exact.h"

#include <math.h>
#include <string.h>

float attn_exact_scale(size_t head_dim)
{
    return (float)(1.4426950408889634 / sqrt((double)head_dim));
}

size_t attn_exact_state(const struct attn_shape *shape)
{
    return shape->heads * (2 * shape->window + 1) * shape->head_dim;
}

struct attn_exact_head attn_exact_at(const struct attn_shape *shape, float *state, size_t h)
{
    size_t ring = shape->window * shape->head_dim;
    float *keys = state + h * 2 * ring;
    return (struct attn_exact_head){keys, keys + ring, state + shape->heads * 2 * ring + h * shape->head_dim};
}

size_t attn_exact_scratch(const struct attn_shape *shape)
{
    return shape->head_dim + shape->window;
}

void attn_exact_attend(const struct attn_shape *shape, struct attn_run *run, struct attn_when when, const float *keys,
                       const float *values, const float *q, float *output, float *scratch)
{
    size_t n = shape->window, d = shape->head_dim, n_rows = attn_when_rows(when, n);
    size_t end = n_rows == n ? n : (size_t)(when.t % n) + 1;
    size_t n_low = n_rows < end ? n_rows : end; /* a window that is not full may go round the end of the ring */
    size_t n_high = n_rows - n_low, low = end - n_low, high = n - n_high;
    float *scaled_q = scratch, *weights = scratch + d;
    run->kernels->scale(d, scaled_q, shape->scale, q);
    attn_run_logits(run, n_low, d, weights, keys + low * d, scaled_q);
    attn_run_logits(run, n_high, d, weights + n_low, keys + high * d, scaled_q);
    attn_run_softmax2(run, 1, n_rows, weights);
    attn_run_combine(run, n_low, d, output, 0.0f, NULL, weights, values + low * d);
    if (n_high > 0)
        attn_run_combine(run, n_high, d, output, 1.0f, output, weights + n_low, values + high * d);
}

void attn_exact_step(const struct attn_shape *shape, struct attn_run *run, float *state, struct attn_when when,
                     const float *qkv, float *output, float *scratch)
{
    size_t d = shape->head_dim, model_dim = shape->heads * d;
    size_t slot = (size_t)(when.t % shape->window);
    for (size_t h = 0; h < shape->heads; h++) {
        struct attn_exact_head head = attn_exact_at(shape, state, h);
        memcpy(head.query, qkv + h * d, d * sizeof(float));
        memcpy(head.keys + slot * d, qkv + model_dim + h * d, d * sizeof(float));
        memcpy(head.values + slot * d, qkv + 2 * model_dim + h * d, d * sizeof(float));
        attn_run_count(run, 0, 6 * d);
        if (output != NULL)
            attn_exact_attend(shape, run, when, head.keys, head.values, head.query, output + h * d, scratch);
    }
}
