/* SPDX-License-Identifier: MIT */
/*
 * Everything that is constant is found when the model is made: where each layer's attention and residual ring lie in
 * the state. A step allocates nothing and writes nothing but states, outputs and scratch memory.
 *
 * The state is, for each layer, the attention's own block and, with residual_tap "oldest", a ring of the last n inputs
 * of the layer: position t in row t mod n, so that history does not show in the layout. A model whose first layer is
 * retroactive has the state of two_layers.c instead.
 *
 * A batch is a matrix with a row for each frame. Rows whose output nobody wants are left out after the last attention,
 * which needs them for the state; so from there on the rows are those of the wanted outputs, in the order of the
 * frames.
 */
#include "encoder.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "layer.h"
#include "reason.h"
#include "two_layers.h"

/* Where a layer's parts lie in the state, bytes. */
struct place {
    size_t attention, ring;
};

/* The arrays of a step with n frames. */
struct work {
    float *input;    /* [n][input_dim] */
    float *x;        /* [n][E] the layer's input, and in the end its output */
    float *y;        /* [n][E] */
    float *attended; /* [n][E] */
    float *qkv;      /* [n][3][H][d] */
    float *logits;   /* [n][outputs] */
    float *layer;    /* of attn_layer_finish */
    void *attention; /* of one frame */
};

struct attn_encoder {
    struct attn_model model;
    struct place *places; /* [n_layers] */
    bool retroactive;     /* two layers in one */
    size_t state_bytes;
    size_t widest;            /* layer with the most scratch memory */
    size_t attention_scratch; /* bytes, of one frame */
};

static uint64_t aligned(uint64_t n_bytes)
{
    return (n_bytes + ATTN_ALIGN - 1) / ATTN_ALIGN * ATTN_ALIGN;
}

/* Floats of each layer's residual ring. */
static uint64_t ring_floats(const struct attn_model_config *config)
{
    return config->residual_tap == ATTN_TAP_OLDEST ? (uint64_t)config->window * config->model_dim : 0;
}

static uint64_t count_state(const struct attn_encoder *encoder)
{
    const struct attn_model *model = &encoder->model;
    uint64_t n_bytes = 0;
    if (encoder->retroactive)
        return attn_two_layers_state_bytes(model);
    for (uint32_t i = 0; i < model->config.n_layers; i++)
        n_bytes += attn_attention_state_bytes(model->layers[i].attention) +
                   aligned(ring_floats(&model->config) * sizeof(float));
    return n_bytes;
}

static int plan_state(struct attn_encoder *encoder, struct attn_reason *why)
{
    const struct attn_model_config *config = &encoder->model.config;
    uint64_t needed = count_state(encoder);
    if (needed > ATTN_MAX_STATE_BYTES)
        return attn_refuse(why, ATTN_E_MODEL, "the state of a stream would have %" PRIu64 " bytes; the limit is %u",
                           needed, ATTN_MAX_STATE_BYTES);
    encoder->state_bytes = (size_t)needed;
    encoder->places = calloc(config->n_layers, sizeof(*encoder->places));
    if (encoder->places == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for %" PRIu32 " layers", config->n_layers);
    size_t at = 0;
    for (uint32_t i = 0; !encoder->retroactive && i < config->n_layers; i++) {
        encoder->places[i].attention = at;
        at += attn_attention_state_bytes(encoder->model.layers[i].attention);
        encoder->places[i].ring = at;
        at += (size_t)aligned(ring_floats(config) * sizeof(float));
    }
    return 0;
}

/* The bytes of one frame's attention. */
static uint64_t count_attention_scratch(const struct attn_encoder *encoder)
{
    const struct attn_model *model = &encoder->model;
    uint64_t most = 0;
    if (encoder->retroactive)
        return attn_two_layers_scratch_bytes(model);
    for (uint32_t i = 0; i < model->config.n_layers; i++) {
        size_t n_bytes = attn_attention_scratch_bytes(model->layers[i].attention);
        most = n_bytes > most ? n_bytes : most;
    }
    return most;
}

static int plan_work(struct attn_encoder *encoder, struct attn_reason *why)
{
    const struct attn_model *model = &encoder->model;
    uint64_t scratch = count_attention_scratch(encoder);
    if (scratch > ATTN_MAX_SCRATCH_BYTES)
        return attn_refuse(why, ATTN_E_MODEL,
                           "a frame would need %" PRIu64 " bytes of scratch memory; the limit is %u: make window or "
                           "model_dim smaller",
                           scratch, ATTN_MAX_SCRATCH_BYTES);
    encoder->attention_scratch = (size_t)scratch;
    for (uint32_t i = 1; i < model->config.n_layers; i++)
        if (model->layers[i].ff1.n_out > model->layers[encoder->widest].ff1.n_out)
            encoder->widest = i;
    double work = encoder->retroactive ? attn_two_layers_multiply_adds(model) : 0;
    if (work > ATTN_MAX_ALL_ROWS_WORK)
        return attn_refuse(
            why, ATTN_E_MODEL,
            "a frame would take %.1f billion multiply-adds, since layers[0] is retroactive, and %.1f are "
            "allowed: make window, model_dim or the feed-forward smaller",
            work / 1e9, ATTN_MAX_ALL_ROWS_WORK / 1e9);
    return 0;
}

int attn_encoder_build(struct attn_encoder **encoder, const struct attn_model_source *source, enum attn_variant variant,
                       struct attn_reason *why)
{
    *encoder = NULL;
    struct attn_encoder *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for a model");
    int error = attn_model_build(&made->model, source, variant, why);
    made->retroactive = error == 0 && made->model.config.layers[0].retroactive;
    if (error == 0)
        error = plan_state(made, why);
    if (error == 0)
        error = plan_work(made, why);
    if (error < 0) {
        attn_encoder_free(made);
        return error;
    }
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

/* R: every layer's replay counts one frame less after the first. The second of a retroactive model has no state. */
static uint32_t replay_frames(const struct attn_encoder *encoder)
{
    uint32_t n_stateful = encoder->retroactive ? 1 : encoder->model.config.n_layers, frames = 1;
    for (uint32_t i = 0; i < n_stateful; i++)
        frames += attn_attention_replay_frames(encoder->model.layers[i].attention) - 1;
    return frames;
}

void attn_encoder_info(const struct attn_encoder *encoder, struct attn_info *info)
{
    const struct attn_model_config *config = &encoder->model.config;
    *info = (struct attn_info){
        .input_dim = config->input_dim,
        .model_dim = config->model_dim,
        .heads = config->heads,
        .window = config->window,
        .layers = config->n_layers,
        .replay_frames = replay_frames(encoder),
        .warming_frames = (encoder->retroactive ? 1 : config->n_layers) * (config->window - 1),
        .state_bytes = encoder->state_bytes,
        .scratch_bytes = attn_encoder_scratch_bytes(encoder, 1),
        .n_labels = config->n_labels,
        .labels = config->labels,
        .frontend = config->frontend,
        .hash = encoder->model.hash,
        .variant = encoder->model.kernels->variant,
        .output_rows = 1,
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
    const struct attn_model *model = &encoder->model;
    memset(state, 0, encoder->state_bytes);
    if (encoder->retroactive)
        attn_two_layers_reset(model, state);
    for (uint32_t i = 0; !encoder->retroactive && i < model->config.n_layers; i++)
        attn_attention_reset(model->layers[i].attention, (char *)state + encoder->places[i].attention);
}

/* Cuts the arrays of n frames out of `scratch`, or, where that is NULL, only counts their bytes. */
static size_t cut(const struct attn_encoder *encoder, struct work *work, size_t n, void *scratch)
{
    const struct attn_model *model = &encoder->model;
    size_t model_dim = model->config.model_dim, total = 0;
    struct {
        float **array;
        size_t floats;
    } arrays[] = {
        {&work->input, n * model->config.input_dim},
        {&work->x, n * model_dim},
        {&work->y, n * model_dim},
        {&work->attended, n * model_dim},
        {&work->qkv, n * 3 * model_dim},
        {&work->logits, n * attn_encoder_output_dim(encoder, ATTN_LOGITS)},
        {&work->layer, attn_layer_scratch(model, &model->layers[encoder->widest], n)},
    };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (scratch != NULL)
            *arrays[i].array = (float *)((char *)scratch + total);
        total += (size_t)aligned(arrays[i].floats * sizeof(float));
    }
    if (scratch != NULL)
        work->attention = (char *)scratch + total;
    return total + encoder->attention_scratch;
}

size_t attn_encoder_scratch_bytes(const struct attn_encoder *encoder, size_t n)
{
    struct work work;
    return cut(encoder, &work, n, NULL);
}

/* x[n][E] = W_in f + b_in + PE[t mod P] */
static void embed(const struct attn_model *model, const struct attn_encoder_frame *frames, size_t n,
                  const struct work *work)
{
    size_t input_dim = model->config.input_dim, model_dim = model->config.model_dim;
    for (size_t i = 0; i < n; i++)
        memcpy(work->input + i * input_dim, frames[i].input, input_dim * sizeof(float));
    attn_linear_apply(&model->embed, model->kernels, n, work->x, work->input);
    for (size_t i = 0; model->pe != NULL && i < n; i++)
        model->kernels->add(model_dim, work->x + i * model_dim,
                            model->pe + frames[i].when.t % model->config.positions * model_dim);
}

/* x[E], in: the layer's input; out: x′, that of the oldest position of the window that the stream has. */
static void tap_oldest(const struct attn_model_config *config, float *ring, struct attn_when when, float *x)
{
    size_t model_dim = config->model_dim, n_bytes = model_dim * sizeof(float);
    uint64_t oldest = when.t - (attn_when_rows(when, config->window) - 1);
    memcpy(ring + when.t % config->window * model_dim, x, n_bytes);
    memcpy(x, ring + oldest % config->window * model_dim, n_bytes);
}

/* Adds what one attention did to what the frame's others did. */
static void note(struct attn_encoder_frame *frame, const struct attn_run *run)
{
    frame->work.multiply_adds += run->work.multiply_adds;
    frame->work.bytes += run->work.bytes;
}

/* One layer: work.x, its inputs, becomes its outputs; in the last layer only those that are wanted. */
static void step_layer(const struct attn_encoder *encoder, uint32_t index, struct attn_encoder_frame *frames, size_t n,
                       const struct work *work)
{
    const struct attn_model *model = &encoder->model;
    const struct attn_layer *layer = &model->layers[index];
    size_t model_dim = model->config.model_dim, n_rows = 0;
    const float *source = attn_layer_source(model, layer, n, work->y, work->x);
    attn_layer_project(model, &layer->qkv, n, 3, work->qkv, source);
    for (size_t i = 0; i < n; i++) {
        bool wanted = index + 1 < model->config.n_layers || frames[i].output != NULL;
        char *state = frames[i].state;
        float *x = work->x + i * model_dim, *attended = work->attended + n_rows * model_dim;
        struct attn_run run = {.kernels = model->kernels};
        attn_attention_step(layer->attention, &run, state + encoder->places[index].attention, frames[i].when,
                            work->qkv + i * 3 * model_dim, wanted ? attended : NULL, false, work->attention);
        note(&frames[i], &run);
        if (model->config.residual_tap == ATTN_TAP_OLDEST)
            tap_oldest(&model->config, (float *)(state + encoder->places[index].ring), frames[i].when, x);
        if (wanted && n_rows != i)
            memcpy(work->x + n_rows * model_dim, x, model_dim * sizeof(float));
        n_rows += wanted;
    }
    attn_layer_finish(model, layer, n_rows, work->x, work->attended, work->layer);
}

/* Both layers of a model whose first is retroactive. */
static void step_retroactive(const struct attn_encoder *encoder, struct attn_encoder_frame *frames, size_t n,
                             const struct work *work)
{
    const struct attn_model *model = &encoder->model;
    size_t model_dim = model->config.model_dim, n_rows = 0;
    for (size_t i = 0; i < n; i++) {
        bool wanted = frames[i].output != NULL;
        float *x = work->x + i * model_dim;
        struct attn_run run = {.kernels = model->kernels};
        attn_two_layers_step(model, &run, frames[i].state, frames[i].when, x,
                             wanted ? work->attended + n_rows * model_dim : NULL, work->attention);
        note(&frames[i], &run);
        if (wanted && n_rows != i)
            memcpy(work->x + n_rows * model_dim, x, model_dim * sizeof(float));
        n_rows += wanted;
    }
    attn_layer_finish(model, &model->layers[1], n_rows, work->x, work->attended, work->layer);
}

/* From x[E], in the order of the frames that want an output, to the outputs: LN(x), and for all that want more, the
 * head of it in one product. */
static void step_head(const struct attn_encoder *encoder, const struct attn_encoder_frame *frames, size_t n,
                      const struct work *work)
{
    const struct attn_model *model = &encoder->model;
    const struct attn_kernels *kernels = model->kernels;
    size_t model_dim = model->config.model_dim, dim = attn_encoder_output_dim(encoder, ATTN_LOGITS), n_rows = 0;
    const float *x = work->x, *logits = work->logits;
    for (size_t i = 0; i < n; i++) {
        if (frames[i].output == NULL)
            continue;
        bool embedding = frames[i].kind == ATTN_EMBEDDING;
        attn_norm_apply(&model->norm, kernels, 1, embedding ? frames[i].output : work->y + n_rows * model_dim, x);
        x += model_dim;
        n_rows += !embedding;
    }
    attn_linear_apply(&model->head, kernels, n_rows, work->logits, work->y);
    for (size_t i = 0; i < n; i++) {
        if (frames[i].output == NULL || frames[i].kind == ATTN_EMBEDDING)
            continue;
        memcpy(frames[i].output, logits, dim * sizeof(float));
        if (frames[i].kind == ATTN_SCORES && model->config.head == ATTN_HEAD_SOFTMAX)
            kernels->softmax(dim, frames[i].output);
        else if (frames[i].kind == ATTN_SCORES && model->config.head == ATTN_HEAD_SIGMOID)
            kernels->sigmoid(dim, frames[i].output);
        logits += dim;
    }
}

void attn_encoder_step(const struct attn_encoder *encoder, struct attn_encoder_frame *frames, size_t n, void *scratch)
{
    struct work work;
    cut(encoder, &work, n, scratch);
    for (size_t i = 0; i < n; i++)
        frames[i].work = (struct attn_work){0};
    embed(&encoder->model, frames, n, &work);
    if (encoder->retroactive)
        step_retroactive(encoder, frames, n, &work);
    for (uint32_t i = 0; !encoder->retroactive && i < encoder->model.config.n_layers; i++)
        step_layer(encoder, i, frames, n, &work);
    step_head(encoder, frames, n, &work);
}

int attn_encoder_verify(const struct attn_encoder *encoder, void *state, struct attn_when newest, double *difference)
{
    uint32_t n_stateful = encoder->retroactive ? 1 : encoder->model.config.n_layers;
    *difference = 0;
    for (uint32_t i = 0; i < n_stateful; i++) {
        size_t place = encoder->retroactive ? 0 : encoder->places[i].attention;
        double of_layer;
        int error = attn_attention_verify(encoder->model.layers[i].attention, (char *)state + place, newest, &of_layer);
        if (error < 0)
            return error;
        *difference = of_layer > *difference ? of_layer : *difference;
    }
    return 0;
}
