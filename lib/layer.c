/* SPDX-License-Identifier: MIT */
/*
 * A layer's weights are read once for a block of rows, and its intermediate vectors stay in the cache: with 64 rows and
 * F = 1024 the widest of them take 256 KiB. The size of a block changes no bits.
 */
#include "layer.h"

#include <string.h>

enum { BLOCK = 64 /* most rows */ };

/* Rows of the first block: about as many as of the others. */
static size_t block_of(size_t n_rows)
{
    size_t n_blocks = (n_rows + BLOCK - 1) / BLOCK;
    return n_blocks > 1 ? (n_rows + n_blocks - 1) / n_blocks : n_rows;
}

size_t attn_layer_scratch(const struct attn_model *model, const struct attn_layer *layer, size_t n_rows)
{
    return (n_rows < BLOCK ? n_rows : BLOCK) * (2 * (size_t)model->config.model_dim + layer->ff1.n_out);
}

const float *attn_layer_source(const struct attn_model *model, const struct attn_layer *layer, size_t n_rows, float *y,
                               const float *x)
{
    if (model->config.norm == ATTN_NORM_POST)
        return x;
    attn_norm_apply(&layer->norm1, model->kernels, n_rows, y, x);
    return y;
}

void attn_layer_project(const struct attn_model *model, const struct attn_linear *linear, size_t n_rows, size_t copies,
                        float *y, const float *source)
{
    size_t model_dim = model->config.model_dim;
    if (linear->n_out != 0) {
        attn_linear_apply(linear, model->kernels, n_rows, y, source);
        return;
    }
    for (size_t i = 0; i < n_rows; i++)
        for (size_t copy = 0; copy < copies; copy++)
            memcpy(y + (i * copies + copy) * model_dim, source + i * model_dim, model_dim * sizeof(float));
}

/* y = W2 · act(W1 x + b1) + b2 */
static void feed_forward(const struct attn_model *model, const struct attn_layer *layer, size_t n_rows, float *y,
                         float *hidden, const float *x)
{
    const struct attn_kernels *kernels = model->kernels;
    attn_linear_apply(&layer->ff1, kernels, n_rows, hidden, x);
    if (model->config.activation == ATTN_GELU)
        kernels->gelu(n_rows * layer->ff1.n_out, hidden);
    else
        kernels->relu(n_rows * layer->ff1.n_out, hidden);
    attn_linear_apply(&layer->ff2, kernels, n_rows, y, hidden);
}

static void finish(const struct attn_model *model, const struct attn_layer *layer, size_t n_rows, float *x,
                   const float *attended, float *scratch)
{
    const struct attn_kernels *kernels = model->kernels;
    size_t n = n_rows * model->config.model_dim;
    float *sum = scratch, *y = sum + n, *hidden = y + n;
    attn_linear_apply(&layer->o, kernels, n_rows, sum, attended);
    kernels->add(n, sum, x);
    if (model->config.norm == ATTN_NORM_PRE) {
        attn_norm_apply(&layer->norm2, kernels, n_rows, y, sum);
        feed_forward(model, layer, n_rows, x, hidden, y);
        kernels->add(n, x, sum);
    } else {
        attn_norm_apply(&layer->norm1, kernels, n_rows, y, sum);
        feed_forward(model, layer, n_rows, sum, hidden, y);
        kernels->add(n, sum, y);
        attn_norm_apply(&layer->norm2, kernels, n_rows, x, sum);
    }
}

void attn_layer_finish(const struct attn_model *model, const struct attn_layer *layer, size_t n_rows, float *x,
                       const float *attended, float *scratch)
{
    size_t model_dim = model->config.model_dim;
    for (size_t done = 0, block; done < n_rows; done += block) {
        block = block_of(n_rows - done);
        finish(model, layer, block, x + done * model_dim, attended + done * model_dim, scratch);
    }
}
