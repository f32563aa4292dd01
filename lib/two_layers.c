/* SPDX-License-Identifier: MIT */
/*
 * The state is the first layer's attention and a ring of its inputs, position t in row t mod n, for they are the
 * residuals of its rows. The second layer keeps nothing: norms, feed-forward and its keys and values are products with
 * |W_t| rows at each frame. Its queries are wanted of the newest row, and where landmarks are means, of the segments'
 * means, which a projection maps to the means of its rows.
 */
#include "two_layers.h"

#include <stdbool.h>
#include <string.h>

#include "layer.h"

/* Where the arrays of a step lie in the scratch memory, bytes. */
struct layout {
    uint64_t newest; /* [frames][E]: what the second layer's attention gives */
    uint64_t qkv;    /* [frames][3E], of the first layer, from */
    uint64_t source; /* [frames][E] */
    uint64_t attended, rows, normed, kv, means, queries, layer, attention, n_bytes;
};

static uint64_t aligned(uint64_t n_bytes)
{
    return (n_bytes + ATTN_ALIGN - 1) / ATTN_ALIGN * ATTN_ALIGN;
}

/* n_floats at the end of a block, aligned; the offset where they begin. */
static uint64_t append(uint64_t *block_bytes, uint64_t n_floats)
{
    uint64_t offset = *block_bytes;
    *block_bytes += aligned(n_floats * sizeof(float));
    return offset;
}

static struct layout lay_out(const struct attn_model *model, size_t n_frames)
{
    const struct attn_layer *first = &model->layers[0], *second = &model->layers[1];
    uint64_t model_dim = model->config.model_dim, n = model->config.window;
    uint64_t n_queries = 1 + attn_window_segments(second->window, (size_t)n);
    uint64_t attention = attn_attention_scratch_bytes(first->attention);
    uint64_t window = attn_window_scratch_bytes(second->window);
    size_t block = n > n_frames ? (size_t)n : n_frames;
    uint64_t of_first = attn_layer_scratch(model, first, block), of_second = attn_layer_scratch(model, second, block);
    struct layout layout = {0};
    layout.newest = append(&layout.n_bytes, n_frames * model_dim);
    layout.qkv = append(&layout.n_bytes, n_frames * 3 * model_dim);
    layout.source = append(&layout.n_bytes, n_frames * model_dim);
    layout.attended = append(&layout.n_bytes, n * model_dim);
    layout.rows = append(&layout.n_bytes, n * model_dim);
    layout.normed = append(&layout.n_bytes, n * model_dim);
    layout.kv = append(&layout.n_bytes, n * 2 * model_dim);
    layout.means = append(&layout.n_bytes, n_queries * model_dim);
    layout.queries = append(&layout.n_bytes, n_queries * model_dim);
    layout.layer = append(&layout.n_bytes, of_first > of_second ? of_first : of_second);
    layout.attention = append(&layout.n_bytes, (attention > window ? attention : window) / sizeof(float));
    return layout;
}

uint64_t attn_two_layers_state_bytes(const struct attn_model *model)
{
    return attn_attention_state_bytes(model->layers[0].attention) +
           aligned((uint64_t)model->config.window * model->config.model_dim * sizeof(float));
}

uint64_t attn_two_layers_scratch_bytes(const struct attn_model *model, size_t n)
{
    return lay_out(model, n).n_bytes;
}

double attn_two_layers_multiply_adds(const struct attn_model *model)
{
    const struct attn_layer *first = &model->layers[0], *second = &model->layers[1];
    double n = model->config.window, width = model->config.model_dim, m = model->config.layers[0].landmarks;
    double attention = model->config.layers[0].method == ATTN_EXACT || m >= n ? 2 * n * width : 2 * m * width;
    double row =
        attention + (double)first->o.n_out * width + 2.0 * first->ff1.n_out * width + (double)second->qkv.n_out * width;
    return n * row + attn_window_most_multiply_adds(second->window);
}

static float *ring_of(const struct attn_model *model, void *state)
{
    return (float *)((char *)state + attn_attention_state_bytes(model->layers[0].attention));
}

void attn_two_layers_reset(const struct attn_model *model, void *state)
{
    attn_attention_reset(model->layers[0].attention, state);
}

/* rows[n_rows][E] out of the ring, oldest first. */
static void unroll(const struct attn_model *model, float *rows, const float *ring, uint64_t t, size_t n_rows)
{
    size_t n = model->config.window, model_dim = model->config.model_dim;
    size_t oldest = (size_t)((t - (n_rows - 1)) % n), before_wrap = n_rows < n - oldest ? n_rows : n - oldest;
    memcpy(rows, ring + oldest * model_dim, before_wrap * model_dim * sizeof(float));
    memcpy(rows + before_wrap * model_dim, ring, (n_rows - before_wrap) * model_dim * sizeof(float));
}

/* attended[E]: the second layer's attention of the newest of rows[n_rows][E]. */
static void attend(const struct attn_model *model, struct attn_run *run, const struct layout *layout, size_t n_rows,
                   float *attended, char *base)
{
    const struct attn_layer *layer = &model->layers[1];
    size_t model_dim = model->config.model_dim, segments = attn_window_segments(layer->window, n_rows);
    float *normed = (float *)(base + layout->normed), *means = (float *)(base + layout->means);
    float *queries = (float *)(base + layout->queries), *kv = (float *)(base + layout->kv);
    const float *source = attn_layer_source(model, layer, n_rows, normed, (float *)(base + layout->rows));
    memcpy(means, source + (n_rows - 1) * model_dim, model_dim * sizeof(float));
    attn_window_means(layer->window, n_rows, model_dim, means + model_dim, source);
    attn_layer_project(model, &layer->q, 1 + segments, 1, queries, means);
    attn_layer_project(model, &layer->qkv, n_rows, 2, kv, source);
    attn_window_attend(layer->window, run, n_rows, attended, queries, kv, base + layout->attention);
}

/* One frame. qkv[3E] of the first layer; x[E], in: that layer's input; out: the second layer's residual x′.
 * attended[E], out: the second layer's attention of its newest row; NULL: only the state advances, and x stays. */
static void step(const struct attn_model *model, struct attn_encoder_frame *frame, const struct layout *layout,
                 const float *qkv, float *x, float *attended, char *base)
{
    const struct attn_layer *layer = &model->layers[0];
    size_t n = model->config.window, model_dim = model->config.model_dim, n_rows = attn_when_rows(frame->when, n);
    float *ring = ring_of(model, frame->state);
    float *all = (float *)(base + layout->attended), *rows = (float *)(base + layout->rows);
    bool raw = model->config.layers[0].head_merge == ATTN_MERGE_RAW;
    struct attn_run run = {.kernels = model->kernels};

    memcpy(ring + frame->when.t % n * model_dim, x, model_dim * sizeof(float));
    attn_attention_step(layer->attention, &run, frame->state, frame->when, qkv, attended != NULL ? all : NULL, raw,
                        base + layout->attention);
    if (attended != NULL) {
        unroll(model, rows, ring, frame->when.t, n_rows);
        attn_layer_finish(model, layer, n_rows, rows, all, (float *)(base + layout->layer));
        attend(model, &run, layout, n_rows, attended, base);
        size_t tap = model->config.residual_tap == ATTN_TAP_OLDEST ? 0 : n_rows - 1;
        memcpy(x, rows + tap * model_dim, model_dim * sizeof(float));
    }
    attn_frame_count(frame, &run);
}

void attn_two_layers_step(const struct attn_model *model, struct attn_encoder_frame *frames, size_t n, float *x,
                          void *scratch)
{
    struct layout layout = lay_out(model, n);
    size_t model_dim = model->config.model_dim, n_rows = 0;
    float *newest = (float *)((char *)scratch + layout.newest), *qkv = (float *)((char *)scratch + layout.qkv);
    const struct attn_layer *first = &model->layers[0];
    const float *source = attn_layer_source(model, first, n, (float *)((char *)scratch + layout.source), x);
    attn_layer_project(model, &first->qkv, n, 3, qkv, source);
    for (size_t i = 0; i < n; i++) {
        bool wanted = frames[i].output != NULL;
        step(model, &frames[i], &layout, qkv + i * 3 * model_dim, x + i * model_dim,
             wanted ? newest + n_rows * model_dim : NULL, scratch);
        if (wanted && n_rows != i)
            memcpy(x + n_rows * model_dim, x + i * model_dim, model_dim * sizeof(float));
        n_rows += wanted;
    }
    attn_layer_finish(model, &model->layers[1], n_rows, x, newest, (float *)((char *)scratch + layout.layer));
}
