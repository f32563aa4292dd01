/* SPDX-License-Identifier: MIT */
/*
 * Everything that is constant is found when the model is read: where each layer's attention and residual ring lie in
 * the state, and where the vectors of a step lie in the scratch memory. A step allocates nothing and writes nothing
 * else.
 *
 * The state is, for each layer, the attention's own block and, with residual_tap "oldest", a ring of the last n inputs
 * of the layer: position t in row t mod n, so that history does not show in the layout.
 */
#include "encoder.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "activation.h"
#include "bounds.h"
#include "kernel.h"
#include "model.h"
#include "reason.h"

/* Where a layer's parts lie in the state, bytes. */
struct place {
    size_t attention, ring;
};

/* Where the vectors of a step lie in the scratch memory, bytes. */
struct layout {
    size_t x, y, sum, qkv, hidden, attention, n_bytes;
};

/* The vectors of a step. */
struct work {
    float *x;      /* [E] the layer's input, and in the end its output */
    float *y;      /* [E] */
    float *sum;    /* [E] before a norm */
    float *qkv;    /* [3][H][d] */
    float *hidden; /* [largest F] */
    void *attention;
};

struct attn_encoder {
    struct attn_model model;
    struct place *places; /* [n_layers] */
    size_t state_bytes;
    struct layout layout;
};

static size_t aligned(size_t n_bytes)
{
    return (n_bytes + ATTN_ALIGN - 1) / ATTN_ALIGN * ATTN_ALIGN;
}

/* n_bytes at the end of a block, aligned; the offset where they begin. */
static size_t append(size_t *block_bytes, size_t n_bytes)
{
    size_t offset = *block_bytes;
    *block_bytes += aligned(n_bytes);
    return offset;
}

static int plan_state(struct attn_encoder *encoder, struct attn_reason *why)
{
    const struct attn_model_config *config = &encoder->model.config;
    bool oldest = config->residual_tap == ATTN_TAP_OLDEST;
    uint64_t ring_bytes = oldest ? (uint64_t)config->window * config->model_dim * sizeof(float) : 0;
    uint64_t needed = 0;
    for (uint32_t i = 0; i < config->n_layers; i++)
        needed += ring_bytes + attn_attention_state_bytes(encoder->model.layers[i].attention);
    if (needed > ATTN_MAX_STATE_BYTES)
        return attn_refuse(why, ATTN_E_MODEL, "the state of a stream would have %" PRIu64 " bytes; the limit is %u",
                           needed, ATTN_MAX_STATE_BYTES);
    encoder->places = calloc(config->n_layers, sizeof(*encoder->places));
    if (encoder->places == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for %" PRIu32 " layers", config->n_layers);
    for (uint32_t i = 0; i < config->n_layers; i++) {
        encoder->places[i].attention =
            append(&encoder->state_bytes, attn_attention_state_bytes(encoder->model.layers[i].attention));
        encoder->places[i].ring = append(&encoder->state_bytes, (size_t)ring_bytes);
    }
    return 0;
}

static void plan_scratch(struct attn_encoder *encoder)
{
    const struct attn_model *model = &encoder->model;
    size_t model_dim = model->config.model_dim, widest = 0, attention = 0;
    for (uint32_t i = 0; i < model->config.n_layers; i++) {
        size_t width = model->layers[i].ff1.n_out;
        size_t n_bytes = attn_attention_scratch_bytes(model->layers[i].attention);
        widest = width > widest ? width : widest;
        attention = n_bytes > attention ? n_bytes : attention;
    }
    struct layout *layout = &encoder->layout;
    layout->x = append(&layout->n_bytes, model_dim * sizeof(float));
    layout->y = append(&layout->n_bytes, model_dim * sizeof(float));
    layout->sum = append(&layout->n_bytes, model_dim * sizeof(float));
    layout->qkv = append(&layout->n_bytes, 3 * model_dim * sizeof(float));
    layout->hidden = append(&layout->n_bytes, widest * sizeof(float));
    layout->attention = append(&layout->n_bytes, attention);
}

int attn_encoder_parse(struct attn_encoder **encoder, const void *bytes, size_t n_bytes, struct attn_reason *why)
{
    *encoder = NULL;
    struct attn_encoder *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for a model");
    int error = attn_model_init(&made->model, bytes, n_bytes, why);
    if (error == 0)
        error = plan_state(made, why);
    if (error < 0) {
        attn_encoder_free(made);
        return error;
    }
    plan_scratch(made);
    *encoder = made;
    return 0;
}

void attn_encoder_free(struct attn_encoder *encoder)
{
    if (encoder == NULL)
        return;
    attn_model_done(&encoder->model);
    free(encoder->places);
    free(encoder);
}

void attn_encoder_info(const struct attn_encoder *encoder, struct attn_info *info)
{
    const struct attn_model_config *config = &encoder->model.config;
    uint32_t replay_frames = 1;
    for (uint32_t i = 0; i < config->n_layers; i++)
        replay_frames += attn_attention_replay_frames(encoder->model.layers[i].attention) - 1;
    *info = (struct attn_info){
        .input_dim = config->input_dim,
        .model_dim = config->model_dim,
        .heads = config->heads,
        .window = config->window,
        .layers = config->n_layers,
        .replay_frames = replay_frames,
        .warming_frames = config->n_layers * (config->window - 1),
        .state_bytes = encoder->state_bytes,
        .scratch_bytes = encoder->layout.n_bytes,
        .n_labels = config->n_labels,
        .labels = config->labels,
        .frontend = config->frontend,
        .hash = encoder->model.hash,
    };
}

uint32_t attn_encoder_output_dim(const struct attn_encoder *encoder, enum attn_output kind)
{
    if (kind != ATTN_SCORES && kind != ATTN_LOGITS && kind != ATTN_EMBEDDING)
        return 0;
    bool through_head = kind != ATTN_EMBEDDING && encoder->model.head.n_out != 0;
    return through_head ? encoder->model.head.n_out : encoder->model.config.model_dim;
}

void attn_encoder_reset(const struct attn_encoder *encoder, void *state)
{
    memset(state, 0, encoder->state_bytes);
    for (uint32_t i = 0; i < encoder->model.config.n_layers; i++)
        attn_attention_reset(encoder->model.layers[i].attention, (char *)state + encoder->places[i].attention);
}

static struct work open_work(const struct layout *layout, void *scratch)
{
    char *base = scratch;
    return (struct work){
        .x = (float *)(base + layout->x),
        .y = (float *)(base + layout->y),
        .sum = (float *)(base + layout->sum),
        .qkv = (float *)(base + layout->qkv),
        .hidden = (float *)(base + layout->hidden),
        .attention = base + layout->attention,
    };
}

/* x' of position t: x itself, or that of the oldest position of the window, max(0, t−n+1), after x has been put in the
 * ring. */
static const float *residual(const struct attn_model_config *config, float *ring, uint64_t t, const float *x)
{
    if (config->residual_tap == ATTN_TAP_NEWEST)
        return x;
    size_t model_dim = config->model_dim;
    uint64_t oldest = t < config->window ? 0 : t - config->window + 1;
    memcpy(ring + t % config->window * model_dim, x, model_dim * sizeof(float));
    return ring + oldest % config->window * model_dim;
}

/* q, k, v = W_q x + b_q, W_k x + b_k, W_v x + b_v, or x three times */
static void project(const struct attn_layer *layer, float *qkv, const float *x, size_t model_dim)
{
    size_t n_copies = layer->qkv.n_out == 0 ? 3 : 1;
    for (size_t i = 0; i < n_copies; i++)
        attn_linear_apply(&layer->qkv, qkv + i * model_dim, x);
}

/* y = W2 · act(W1 x + b1) + b2 */
static void feed_forward(const struct attn_layer *layer, enum attn_activation activation, float *y, float *hidden,
                         const float *x)
{
    attn_linear_apply(&layer->ff1, hidden, x);
    if (activation == ATTN_GELU)
        attn_gelu(hidden, layer->ff1.n_out);
    else
        attn_relu(hidden, layer->ff1.n_out);
    attn_linear_apply(&layer->ff2, y, hidden);
}

/* One layer at position t: work.x, its input, becomes its output, unless that is not `wanted`: then only the state
 * advances. */
static void step_layer(const struct attn_encoder *encoder, uint32_t index, void *state, uint64_t t,
                       const struct work *work, bool wanted)
{
    const struct attn_model_config *config = &encoder->model.config;
    const struct attn_layer *layer = &encoder->model.layers[index];
    char *attention_state = (char *)state + encoder->places[index].attention;
    float *ring = (float *)((char *)state + encoder->places[index].ring);
    float *x = work->x, *y = work->y, *sum = work->sum;
    size_t model_dim = config->model_dim;
    bool pre = config->norm == ATTN_NORM_PRE;

    const float *tap = residual(config, ring, t, x);
    const float *input = x;
    if (pre) {
        attn_norm_apply(&layer->norm1, y, x);
        input = y;
    }
    project(layer, work->qkv, input, model_dim);
    attn_attention_step(layer->attention, attention_state, t, work->qkv, wanted ? y : NULL, work->attention);
    if (!wanted)
        return;
    attn_linear_apply(&layer->o, sum, y);
    attn_kernel_add(sum, tap, model_dim);
    if (pre) {
        attn_norm_apply(&layer->norm2, y, sum);
        feed_forward(layer, config->activation, x, work->hidden, y);
        attn_kernel_add(x, sum, model_dim);
    } else {
        attn_norm_apply(&layer->norm1, y, sum);
        feed_forward(layer, config->activation, sum, work->hidden, y);
        attn_kernel_add(sum, y, model_dim);
        attn_norm_apply(&layer->norm2, x, sum);
    }
}

/* The output of that kind from y, the last layer's. */
static void step_head(const struct attn_model *model, enum attn_output kind, float *output, float *normed,
                      const float *y)
{
    attn_norm_apply(&model->norm, kind == ATTN_EMBEDDING ? output : normed, y);
    if (kind == ATTN_EMBEDDING)
        return;
    attn_linear_apply(&model->head, output, normed);
    if (kind == ATTN_LOGITS)
        return;
    if (model->config.head == ATTN_HEAD_SOFTMAX)
        attn_softmax(output, model->head.n_out);
    else if (model->config.head == ATTN_HEAD_SIGMOID)
        attn_sigmoid(output, model->head.n_out);
}

void attn_encoder_step(const struct attn_encoder *encoder, void *state, uint64_t t, const float *frame,
                       enum attn_output kind, float *output, void *scratch)
{
    const struct attn_model *model = &encoder->model;
    uint32_t model_dim = model->config.model_dim, n_layers = model->config.n_layers;
    struct work work = open_work(&encoder->layout, scratch);

    attn_linear_apply(&model->embed, work.x, frame);
    if (model->pe != NULL)
        attn_kernel_add(work.x, model->pe + t % model->config.positions * model_dim, model_dim);
    for (uint32_t i = 0; i < n_layers; i++)
        step_layer(encoder, i, state, t, &work, i + 1 < n_layers || output != NULL);
    if (output != NULL)
        step_head(model, kind, output, work.y, work.x);
}
