/* SPDX-License-Identifier: MIT */
/*
 * The state is, for each layer, the attention's own block and, with residual_tap "oldest", a ring of the last n inputs
 * of the layer: position t in row t mod n, so that history does not show in the layout.
 *
 * A batch is a matrix with a row for each frame. Rows whose output nobody wants are left out after the last attention,
 * which needs them for the state.
 */
#include "stack.h"

#include <stdbool.h>
#include <string.h>

#include "layer.h"

/* The arrays of a step with n frames. */
struct work {
    float *normed;   /* [n][E] */
    float *attended; /* [n][E] */
    float *qkv;      /* [n][3][H][d] */
    float *layer;    /* of attn_layer_finish */
    void *attention; /* of one frame */
};

static uint64_t aligned(uint64_t n_bytes)
{
    return (n_bytes + ATTN_ALIGN - 1) / ATTN_ALIGN * ATTN_ALIGN;
}

/* Bytes of a layer's residual ring. */
static uint64_t ring_bytes(const struct attn_model_config *config)
{
    bool oldest = config->residual_tap == ATTN_TAP_OLDEST;
    return oldest ? aligned((uint64_t)config->window * config->model_dim * sizeof(float)) : 0;
}

uint64_t attn_stack_state_bytes(const struct attn_model *model)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < model->config.n_layers; i++)
        n_bytes += attn_attention_state_bytes(model->layers[i].attention) + ring_bytes(&model->config);
    return n_bytes;
}

size_t attn_stack_place(const struct attn_model *model, uint32_t layer)
{
    size_t place = 0;
    for (uint32_t i = 0; i < layer; i++)
        place += attn_attention_state_bytes(model->layers[i].attention) + (size_t)ring_bytes(&model->config);
    return place;
}

/* Cuts the arrays of n frames out of `scratch`, or, where that is NULL, counts only; returns their bytes. */
static size_t cut(const struct attn_model *model, struct work *work, size_t n, void *scratch)
{
    size_t model_dim = model->config.model_dim, total = 0, layer = 0;
    for (uint32_t i = 0; i < model->config.n_layers; i++) {
        size_t of_layer = attn_layer_scratch(model, &model->layers[i], n);
        layer = of_layer > layer ? of_layer : layer;
    }
    struct {
        float **array;
        size_t floats;
    } arrays[] = {
        {&work->normed, n * model_dim},
        {&work->attended, n * model_dim},
        {&work->qkv, n * 3 * model_dim},
        {&work->layer, layer},
    };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (scratch != NULL)
            *arrays[i].array = (float *)((char *)scratch + total);
        total += (size_t)aligned(arrays[i].floats * sizeof(float));
    }
    return total;
}

size_t attn_stack_scratch_bytes(const struct attn_model *model, size_t n)
{
    struct work work;
    size_t most = 0;
    for (uint32_t i = 0; i < model->config.n_layers; i++) {
        size_t n_bytes = attn_attention_scratch_bytes(model->layers[i].attention);
        most = n_bytes > most ? n_bytes : most;
    }
    return cut(model, &work, n, NULL) + most;
}

void attn_stack_reset(const struct attn_model *model, void *state)
{
    for (uint32_t i = 0; i < model->config.n_layers; i++)
        attn_attention_reset(model->layers[i].attention, (char *)state + attn_stack_place(model, i));
}

/* x[E], in: the layer's input; out: x′, that of the oldest position of the window that the stream has. */
static void tap_oldest(const struct attn_model_config *config, float *ring, struct attn_when when, float *x)
{
    size_t model_dim = config->model_dim, n_bytes = model_dim * sizeof(float);
    uint64_t oldest = when.t - (attn_when_rows(when, config->window) - 1);
    memcpy(ring + when.t % config->window * model_dim, x, n_bytes);
    memcpy(x, ring + oldest % config->window * model_dim, n_bytes);
}

/* One layer: x, its inputs, becomes its outputs; in the last layer only those that are wanted. */
static void step_layer(const struct attn_model *model, uint32_t index, struct attn_encoder_frame *frames, size_t n,
                       float *x, const struct work *work)
{
    const struct attn_layer *layer = &model->layers[index];
    size_t model_dim = model->config.model_dim, n_rows = 0;
    size_t place = attn_stack_place(model, index), ring = place + attn_attention_state_bytes(layer->attention);
    bool last = index + 1 == model->config.n_layers;
    const float *source = attn_layer_source(model, layer, n, work->normed, x);
    attn_layer_project(model, &layer->qkv, n, 3, work->qkv, source);
    for (size_t i = 0; i < n; i++) {
        bool wanted = !last || frames[i].output != NULL;
        char *state = frames[i].state;
        float *row = x + i * model_dim, *attended = work->attended + n_rows * model_dim;
        struct attn_run run = {.kernels = model->kernels};
        attn_attention_step(layer->attention, &run, state + place, frames[i].when, work->qkv + i * 3 * model_dim,
                            wanted ? attended : NULL, false, work->attention);
        attn_frame_count(&frames[i], &run);
        if (model->config.residual_tap == ATTN_TAP_OLDEST)
            tap_oldest(&model->config, (float *)(state + ring), frames[i].when, row);
        if (wanted && n_rows != i)
            memcpy(x + n_rows * model_dim, row, model_dim * sizeof(float));
        n_rows += wanted;
    }
    attn_layer_finish(model, layer, n_rows, x, work->attended, work->layer);
}

void attn_stack_step(const struct attn_model *model, struct attn_encoder_frame *frames, size_t n, float *x,
                     void *scratch)
{
    struct work work;
    work.attention = (char *)scratch + cut(model, &work, n, scratch);
    for (uint32_t i = 0; i < model->config.n_layers; i++)
        step_layer(model, i, frames, n, x, &work);
}
