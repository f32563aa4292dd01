/* SPDX-License-Identifier: MIT */
/* The state of a head is two rings, keys [n][d] and values [n][d]: position t is in row t mod n. The sums run over the
 * rows in the order of the slots, so that the output does not depend on when the stream began. */
#include "exact.h"

#include <math.h>
#include <string.h>

#include "kernel.h"

float attn_exact_scale(size_t head_dim)
{
    return (float)(1.4426950408889634 / sqrt((double)head_dim));
}

size_t attn_exact_state(const struct attn_shape *shape)
{
    return shape->heads * 2 * shape->window * shape->head_dim;
}

size_t attn_exact_scratch(const struct attn_shape *shape)
{
    return shape->head_dim + shape->window;
}

void attn_exact_attend(float *output, const float *scaled_q, const float *keys, const float *values, size_t n_rows,
                       size_t d, float *weights)
{
    attn_kernel_logits(weights, scaled_q, keys, n_rows, d);
    attn_kernel_softmax(weights, n_rows);
    attn_kernel_combine(output, weights, values, n_rows, d);
}

void attn_exact_step(const struct attn_shape *shape, float *state, uint64_t t, const float *qkv, float *output,
                     float *scratch)
{
    size_t d = shape->head_dim, n = shape->window, model_dim = shape->heads * d;
    size_t slot = (size_t)(t % n);
    size_t n_rows = t < n ? slot + 1 : n;
    for (size_t h = 0; h < shape->heads; h++) {
        float *keys = state + h * 2 * n * d;
        float *values = keys + n * d;
        memcpy(keys + slot * d, qkv + model_dim + h * d, d * sizeof(float));
        memcpy(values + slot * d, qkv + 2 * model_dim + h * d, d * sizeof(float));
        if (output == NULL)
            continue;
        attn_kernel_scale(scratch, qkv + h * d, shape->scale, d);
        attn_exact_attend(output + h * d, scratch, keys, values, n_rows, d, scratch + d);
    }
}
