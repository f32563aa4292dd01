/* SPDX-License-Identifier: MIT */
/*
 * Each tensor that the configuration calls for is taken by its name and its shape; what is left over afterwards is an
 * error, for a tensor that nothing reads means that the tensors are for another architecture.
 */
#include "model.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reason.h"
#include "tensor_set.h"

struct loader {
    struct attn_tensor_set set;
    enum attn_variant variant;
    struct attn_reason *why;
};

static int no_memory(const struct loader *loader, const char *part)
{
    return attn_refuse(loader->why, ATTN_E_MEMORY, "no memory for the weights of %s%s", loader->set.where, part);
}

static int load_linear(const struct loader *loader, struct attn_linear *linear, const char *part, uint64_t n_out,
                       uint32_t n_in)
{
    const struct attn_tensor *pair[2];
    int error = attn_tensor_set_take_pair(&loader->set, pair, part, n_out, n_in);
    if (error < 0)
        return error;
    if (attn_linear_init(linear, (uint32_t)pair[0]->shape[0], n_in) < 0)
        return no_memory(loader, part);
    attn_linear_set_rows(linear, 0, linear->n_out, pair[0]->values, pair[1]->values);
    return 0;
}

/* As load_linear, but where neither half is there the linear is absent: the identity. */
static int load_optional(const struct loader *loader, struct attn_linear *linear, const char *part, uint64_t n_out,
                         uint32_t n_in)
{
    linear->n_in = n_in;
    if (!attn_tensor_set_has(&loader->set, part))
        return 0;
    return load_linear(loader, linear, part, n_out, n_in);
}

static int load_norm(const struct loader *loader, struct attn_norm *norm, const char *part, uint32_t n)
{
    const struct attn_tensor *pair[2];
    int error = attn_tensor_set_take_pair(&loader->set, pair, part, n, 0);
    if (error < 0)
        return error;
    return attn_norm_init(norm, n, pair[0]->values, pair[1]->values) < 0 ? no_memory(loader, part) : 0;
}

static float *copy_values(const struct attn_tensor *tensor)
{
    float *values = malloc(tensor->n_values * sizeof(float));
    if (values != NULL)
        memcpy(values, tensor->values, tensor->n_values * sizeof(float));
    return values;
}

/* q, k and v as one product, or none of them; `apart`: q as one of its own, since not all rows need it. Memory is taken
 * once all three are known to be there: until then their sizes are only what the configuration claims. */
static int load_projections(const struct loader *loader, struct attn_layer *layer, uint32_t model_dim, bool apart)
{
    static const char *const parts[] = {"q", "k", "v"};
    const struct attn_tensor *pairs[3][2];
    bool any = false;
    for (size_t i = 0; i < 3; i++)
        any = any || attn_tensor_set_has(&loader->set, parts[i]);
    layer->q.n_in = layer->qkv.n_in = model_dim;
    if (!any)
        return 0;
    for (size_t i = 0; i < 3; i++) {
        int error = attn_tensor_set_take_pair(&loader->set, pairs[i], parts[i], model_dim, model_dim);
        if (error < 0)
            return error;
    }
    if ((apart && attn_linear_init(&layer->q, model_dim, model_dim) < 0) ||
        attn_linear_init(&layer->qkv, (apart ? 2 : 3) * model_dim, model_dim) < 0)
        return no_memory(loader, "q, k and v");
    uint32_t first = 0;
    for (size_t i = 0; i < 3; i++) {
        bool alone = apart && i == 0;
        attn_linear_set_rows(alone ? &layer->q : &layer->qkv, first, model_dim, pairs[i][0]->values,
                             pairs[i][1]->values);
        first += alone ? 0 : model_dim;
    }
    return 0;
}

/* The attention of a layer with a state, or of one that recomputes its window. */
static int make_attention(const struct loader *loader, struct attn_layer *layer, const struct attn_options *options,
                          bool recomputed)
{
    struct attn_reason reason = {""};
    int error = recomputed ? attn_window_new(&layer->window, options, &reason)
                           : attn_attention_new(&layer->attention, options, &reason);
    if (error == ATTN_E_OPTIONS)
        error = ATTN_E_MODEL;
    if (error < 0)
        return attn_refuse(loader->why, error, "%.*s: %.220s", (int)strlen(loader->set.where) - 1, loader->set.where,
                           reason.text);
    return 0;
}

/* The same with fixed landmarks, which are tensors. */
static int make_fixed_attention(const struct loader *loader, struct attn_layer *layer, struct attn_options *options,
                                bool recomputed)
{
    const uint64_t shape[] = {options->heads, options->landmarks, options->head_dim};
    const struct attn_tensor *q, *k;
    int error = attn_tensor_set_take(&loader->set, &q, "q_landmarks", 3, shape);
    if (error == 0)
        error = attn_tensor_set_take(&loader->set, &k, "k_landmarks", 3, shape);
    if (error < 0)
        return error;
    float *q_landmarks = copy_values(q), *k_landmarks = copy_values(k);
    options->q_landmarks = q_landmarks;
    options->k_landmarks = k_landmarks;
    if (q_landmarks == NULL || k_landmarks == NULL)
        error = no_memory(loader, "q_landmarks and k_landmarks");
    else
        error = make_attention(loader, layer, options, recomputed);
    free(q_landmarks);
    free(k_landmarks);
    return error;
}

static int load_attention(const struct loader *loader, struct attn_layer *layer, const struct attn_model_config *config,
                          uint32_t block)
{
    const struct attn_layer_config *of = &config->layers[block];
    bool recomputed = attn_model_recomputes(config, block);
    struct attn_options options = {
        .size = sizeof(options),
        .method = of->method,
        .heads = config->heads,
        .head_dim = config->model_dim / config->heads,
        .window = config->window,
        .landmarks = of->landmarks,
        .landmark_policy = of->landmark_policy,
        .refresh = of->refresh,
        .inverse_scale = of->inverse_scale,
        .retroactive = of->retroactive,
        .variant = loader->variant,
    };
    return of->landmark_policy == ATTN_LANDMARKS_FIXED ? make_fixed_attention(loader, layer, &options, recomputed)
                                                       : make_attention(loader, layer, &options, recomputed);
}

static int load_layer(struct loader *loader, struct attn_model *model, uint32_t block)
{
    const struct attn_model_config *config = &model->config;
    struct attn_layer *layer = &model->layers[block];
    uint32_t model_dim = config->model_dim;
    snprintf(loader->set.where, sizeof(loader->set.where), "blocks.%" PRIu32 ".", block);
    int error = load_projections(loader, layer, model_dim, attn_model_recomputes(config, block));
    if (error == 0)
        error = load_attention(loader, layer, config, block);
    if (error == 0)
        error = load_optional(loader, &layer->o, "o", model_dim, model_dim);
    if (error == 0)
        error = load_norm(loader, &layer->norm1, "norm1", model_dim);
    if (error == 0)
        error = load_norm(loader, &layer->norm2, "norm2", model_dim);
    if (error == 0)
        error = load_linear(loader, &layer->ff1, "ff1", ATTN_ANY, model_dim);
    if (error == 0)
        error = load_linear(loader, &layer->ff2, "ff2", model_dim, layer->ff1.n_out);
    loader->set.where[0] = '\0';
    return error;
}

static int load_input(const struct loader *loader, struct attn_model *model)
{
    const struct attn_model_config *config = &model->config;
    int error = load_optional(loader, &model->embed, "embed", config->model_dim, config->input_dim);
    if (error < 0)
        return error;
    if (model->embed.n_out == 0 && config->input_dim != config->model_dim)
        return attn_refuse(
            loader->why, ATTN_E_MODEL,
            "tensor embed.weight is missing; only with input_dim = model_dim may it be, and they are %" PRIu32
            " and %" PRIu32,
            config->input_dim, config->model_dim);
    if (config->positions == 0)
        return 0;
    const struct attn_tensor *pe;
    error = attn_tensor_set_take(&loader->set, &pe, "pe.weight", 2, (uint64_t[]){config->positions, config->model_dim});
    if (error == 0 && (model->pe = copy_values(pe)) == NULL)
        error = no_memory(loader, "pe");
    return error;
}

static int load_head(const struct loader *loader, struct attn_model *model)
{
    const struct attn_model_config *config = &model->config;
    int error = load_norm(loader, &model->norm, "norm", config->model_dim);
    if (error == 0)
        error = load_optional(loader, &model->head, "head", ATTN_ANY, config->model_dim);
    if (error < 0)
        return error;
    if (model->head.n_out == 0 && (config->n_labels != 0 || config->head != ATTN_HEAD_IDENTITY))
        return attn_refuse(
            loader->why, ATTN_E_MODEL,
            "tensor head.weight is missing; only a model without labels whose head is identity may lack it");
    if (config->n_labels != 0 && config->n_labels != model->head.n_out)
        return attn_refuse(loader->why, ATTN_E_MODEL,
                           "configuration: there are %" PRIu32 " labels for the %" PRIu32
                           " outputs of tensor head.weight",
                           config->n_labels, model->head.n_out);
    return 0;
}

static int load_tensors(struct loader *loader, struct attn_model *model)
{
    int error = load_input(loader, model);
    for (uint32_t i = 0; error == 0 && i < model->config.n_layers; i++)
        error = load_layer(loader, model, i);
    return error < 0 ? error : load_head(loader, model);
}

int attn_model_build(struct attn_model *model, const struct attn_model_source *source, enum attn_variant variant,
                     struct attn_reason *why)
{
    struct loader loader = {.variant = variant, .why = why};
    memset(model, 0, sizeof(*model));
    model->hash = source->hash;
    model->kernels = attn_kernels_of(variant);
    if (model->kernels == NULL)
        return attn_refuse(why, ATTN_E_SUPPORT, "variant %d is not in this build, or not for this machine",
                           (int)variant);
    int error = attn_model_config_check(source->config, why);
    if (error == 0)
        error = attn_model_config_copy(&model->config, source->config, why);
    if (error == 0)
        error = attn_tensor_set_init(&loader.set, source->tensors, source->n_tensors, why);
    if (error == 0 && (model->layers = calloc(model->config.n_layers, sizeof(*model->layers))) == NULL)
        error = attn_refuse(why, ATTN_E_MEMORY, "no memory for %" PRIu32 " layers", model->config.n_layers);
    if (error == 0)
        error = load_tensors(&loader, model);
    if (error == 0)
        error = attn_tensor_set_check_taken(&loader.set);
    attn_tensor_set_done(&loader.set);
    return error;
}

void attn_model_done(struct attn_model *model)
{
    for (uint32_t i = 0; model->layers != NULL && i < model->config.n_layers; i++) {
        struct attn_layer *layer = &model->layers[i];
        attn_attention_free(layer->attention);
        attn_window_free(layer->window);
        attn_linear_done(&layer->q);
        attn_linear_done(&layer->qkv);
        attn_linear_done(&layer->o);
        attn_norm_done(&layer->norm1);
        attn_norm_done(&layer->norm2);
        attn_linear_done(&layer->ff1);
        attn_linear_done(&layer->ff2);
    }
    free(model->layers);
    attn_linear_done(&model->embed);
    free(model->pe);
    attn_norm_done(&model->norm);
    attn_linear_done(&model->head);
    attn_model_config_done(&model->config);
    memset(model, 0, sizeof(*model));
}
