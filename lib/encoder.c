/* SPDX-License-Identifier: MIT */
/*
 * Everything that is constant is found when the model is made. A step allocates nothing and writes nothing but states,
 * outputs and scratch memory. Between embedding and head stands one of two forms: a stack of layers, or two layers of
 * which the first is retroactive; each has a state of its own form, and leaves the rows of the wanted outputs.
 */
#include "encoder.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "denormals.h"
#include "reason.h"
#include "stack.h"
#include "two_layers.h"
#include "work.h"

struct attn_encoder {
    struct attn_model model;
    bool retroactive; /* two layers, of which the first is retroactive */
    size_t state_bytes;
};

/* The arrays of a step with n frames. */
struct work {
    float *input;  /* [n][input_dim] */
    float *x;      /* [n][E] */
    float *normed; /* [n][E] */
    float *logits; /* [n][outputs] */
};

static uint64_t aligned(uint64_t n_bytes)
{
    return (n_bytes + ATTN_ALIGN - 1) / ATTN_ALIGN * ATTN_ALIGN;
}

static uint64_t layers_scratch(const struct attn_encoder *encoder, size_t n)
{
    return encoder->retroactive ? attn_two_layers_scratch_bytes(&encoder->model, n)
                                : attn_stack_scratch_bytes(&encoder->model, n);
}

static int check_limits(const struct attn_encoder *encoder, struct attn_reason *why)
{
    const struct attn_model *model = &encoder->model;
    uint64_t state = encoder->retroactive ? attn_two_layers_state_bytes(model) : attn_stack_state_bytes(model);
    uint64_t scratch = layers_scratch(encoder, 1);
    double work = encoder->retroactive ? attn_two_layers_multiply_adds(model) : 0;
    if (state > ATTN_MAX_STATE_BYTES)
        return attn_refuse(why, ATTN_E_MODEL, "the state of a stream would have %" PRIu64 " bytes; the limit is %u",
                           state, ATTN_MAX_STATE_BYTES);
    if (scratch > ATTN_MAX_SCRATCH_BYTES)
        return attn_refuse(why, ATTN_E_MODEL,
                           "a frame would need %" PRIu64 " bytes of scratch memory; the limit is %u: make window or "
                           "model_dim smaller",
                           scratch, ATTN_MAX_SCRATCH_BYTES);
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
    uint64_t mode = attn_denormals_flush(); /* g of fixed landmarks is to have the bits that frames would give it */
    int error = attn_model_build(&made->model, source, variant, why);
    attn_denormals_restore(mode);
    made->retroactive = error == 0 && made->model.config.layers[0].retroactive;
    if (error == 0)
        error = check_limits(made, why);
    if (error < 0) {
        attn_encoder_free(made);
        return error;
    }
    made->state_bytes =
        (size_t)(made->retroactive ? attn_two_layers_state_bytes(&made->model) : attn_stack_state_bytes(&made->model));
    *encoder = made;
    return 0;
}

void attn_encoder_free(struct attn_encoder *encoder)
{
    if (encoder == NULL)
        return;
    attn_model_done(&encoder->model);
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
        .events = config->events,
    };
}

double attn_encoder_most_multiply_adds(const struct attn_encoder *encoder)
{
    const struct attn_model *model = &encoder->model;
    double most = 0;
    for (size_t i = 0; i < model->config.n_layers; i++)
        most += model->layers[i].window != NULL ? attn_window_most_multiply_adds(model->layers[i].window)
                                                : attn_work_most(attn_attention_options(model->layers[i].attention));
    return most;
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
    if (encoder->retroactive)
        attn_two_layers_reset(&encoder->model, state);
    else
        attn_stack_reset(&encoder->model, state);
}

/* Cuts the arrays of n frames out of `scratch`, or, where that is NULL, counts only; returns their bytes. */
static size_t cut(const struct attn_encoder *encoder, struct work *work, size_t n, void *scratch)
{
    const struct attn_model_config *config = &encoder->model.config;
    size_t total = 0;
    struct {
        float **array;
        size_t floats;
    } arrays[] = {
        {&work->input, n * config->input_dim},
        {&work->x, n * config->model_dim},
        {&work->normed, n * config->model_dim},
        {&work->logits, n * attn_encoder_output_dim(encoder, ATTN_LOGITS)},
    };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (scratch != NULL)
            *arrays[i].array = (float *)((char *)scratch + total);
        total += (size_t)aligned(arrays[i].floats * sizeof(float));
    }
    return total;
}

size_t attn_encoder_scratch_bytes(const struct attn_encoder *encoder, size_t n)
{
    struct work work;
    return cut(encoder, &work, n, NULL) + (size_t)layers_scratch(encoder, n);
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

/* The scores of logits [dim], in place. An exponential makes a number out of a NaN, too, and that would look like an
 * answer: scores of logits that are not finite are NaN, all of them. */
static void take_scores(const struct attn_model *model, size_t dim, float *x)
{
    if (model->config.head == ATTN_HEAD_IDENTITY)
        return;
    if (model->kernels->first_not_finite(dim, x) < dim)
        for (size_t i = 0; i < dim; i++)
            x[i] = NAN;
    else if (model->config.head == ATTN_HEAD_SOFTMAX)
        model->kernels->softmax(dim, x);
    else
        model->kernels->sigmoid(dim, x);
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
        attn_norm_apply(&model->norm, kernels, 1, embedding ? frames[i].output : work->normed + n_rows * model_dim, x);
        x += model_dim;
        n_rows += !embedding;
    }
    attn_linear_apply(&model->head, kernels, n_rows, work->logits, work->normed);
    for (size_t i = 0; i < n; i++) {
        if (frames[i].output == NULL || frames[i].kind == ATTN_EMBEDDING)
            continue;
        memcpy(frames[i].output, logits, dim * sizeof(float));
        if (frames[i].kind == ATTN_SCORES)
            take_scores(model, dim, frames[i].output);
        logits += dim;
    }
}

void attn_encoder_step(const struct attn_encoder *encoder, struct attn_encoder_frame *frames, size_t n, void *scratch)
{
    struct work work;
    void *layers = (char *)scratch + cut(encoder, &work, n, scratch);
    for (size_t i = 0; i < n; i++)
        frames[i].work = (struct attn_work){0};
    embed(&encoder->model, frames, n, &work);
    if (encoder->retroactive)
        attn_two_layers_step(&encoder->model, frames, n, work.x, layers);
    else
        attn_stack_step(&encoder->model, frames, n, work.x, layers);
    step_head(encoder, frames, n, &work);
}

int attn_encoder_verify(const struct attn_encoder *encoder, void *state, struct attn_when newest, double *difference)
{
    const struct attn_model *model = &encoder->model;
    uint32_t n_stateful = encoder->retroactive ? 1 : model->config.n_layers;
    *difference = 0;
    for (uint32_t i = 0; i < n_stateful; i++) {
        double of_layer = 0;
        int error = attn_attention_verify(model->layers[i].attention,
                                          (char *)state + (encoder->retroactive ? 0 : attn_stack_place(model, i)),
                                          newest, &of_layer);
        if (error < 0)
            return error;
        *difference = of_layer > *difference ? of_layer : *difference;
    }
    return 0;
}
