/* SPDX-License-Identifier: MIT */
/* Plans of models that a caller has in memory: what attn.h calls the parts of a model to what this library calls them.
 */
#include <stdlib.h>

#include "bounds.h"
#include "encoder.h"
#include "options.h"
#include "plan.h"
#include "reason.h"
#include "tensor.h"

#define REFUSE(...) attn_refuse(why, ATTN_E_MODEL, __VA_ARGS__)

static int take_layers(struct attn_layer_config *to, const struct attn_model_description *description,
                       struct attn_reason *why)
{
    for (uint32_t i = 0; i < description->n_layers; i++) {
        const struct attn_layer_description *from = &description->layers[i];
        if (from->size != sizeof(*from))
            return attn_refuse(why, ATTN_E_OPTIONS,
                               "size of layer %u is %zu; this version knows layers of %zu bytes: set it to "
                               "sizeof(struct attn_layer_description)",
                               i, from->size, sizeof(*from));
        to[i] = (struct attn_layer_config){
            .method = from->method,
            .landmarks = from->landmarks,
            .landmark_policy = from->landmark_policy,
            .refresh = from->refresh,
            .inverse_scale = from->inverse_scale,
            .retroactive = from->retroactive != 0,
            .head_merge = from->head_merge,
        };
    }
    return 0;
}

static int take_tensors(struct attn_tensor *to, const struct attn_tensor_data *from, size_t n_tensors,
                        struct attn_reason *why)
{
    for (size_t i = 0; i < n_tensors; i++) {
        if (from[i].name == NULL || from[i].values == NULL || (from[i].shape == NULL && from[i].rank > 0))
            return REFUSE("tensor %zu has no name, no shape or no values", i);
        if (from[i].rank > ATTN_MAX_RANK)
            return REFUSE("tensor %s has %u dimensions; at most %d are allowed", from[i].name, from[i].rank,
                          ATTN_MAX_RANK);
        to[i] =
            (struct attn_tensor){.name = from[i].name, .rank = from[i].rank, .n_values = 1, .values = from[i].values};
        for (uint32_t k = 0; k < from[i].rank; k++) {
            to[i].shape[k] = from[i].shape[k];
            if (from[i].shape[k] > ATTN_MAX_FILE_BYTES ||
                (to[i].n_values *= (size_t)from[i].shape[k]) > ATTN_MAX_FILE_BYTES / sizeof(float))
                return REFUSE("tensor %s has more than %zu values", from[i].name, ATTN_MAX_FILE_BYTES / sizeof(float));
        }
    }
    return attn_tensor_check(to, n_tensors, why);
}

static struct attn_model_config config_of(const struct attn_model_description *description,
                                          const struct attn_layer_config *layers)
{
    return (struct attn_model_config){
        .input_dim = description->input_dim,
        .model_dim = description->model_dim,
        .heads = description->heads,
        .window = description->window,
        .positions = description->positions,
        .residual_tap = description->residual_tap,
        .norm = description->norm,
        .activation = description->activation,
        .head = description->head,
        .n_layers = description->n_layers,
        .layers = layers,
        .n_labels = description->n_labels,
        .labels = description->labels,
    };
}

/* What can be checked before anything of that size is read or allocated. */
static int check_counts(const struct attn_model_description *description, const struct attn_tensor_data *tensors,
                        size_t n_tensors, struct attn_reason *why)
{
    const size_t most_tensors = 32 * (size_t)ATTN_MAX_LAYERS; /* no architecture has so many */
    if (description->size != sizeof(*description))
        return attn_refuse(why, ATTN_E_OPTIONS,
                           "size of the description is %zu; this version knows %zu bytes: set it to "
                           "sizeof(struct attn_model_description)",
                           description->size, sizeof(*description));
    if (description->n_layers < 1 || description->n_layers > ATTN_MAX_LAYERS)
        return REFUSE("there are %u layers; there must be 1 to %d", description->n_layers, ATTN_MAX_LAYERS);
    if (description->n_labels > ATTN_MAX_WIDTH)
        return REFUSE("there are %u labels; there may be 0 to %d", description->n_labels, ATTN_MAX_WIDTH);
    if (n_tensors < 1 || n_tensors > most_tensors)
        return REFUSE("there are %zu tensors; there must be 1 to %zu", n_tensors, most_tensors);
    if (description->layers == NULL || tensors == NULL || (description->n_labels > 0 && description->labels == NULL))
        return REFUSE("%s is NULL", description->layers == NULL ? "layers" : tensors == NULL ? "tensors" : "labels");
    return 0;
}

/* The encoder of what was handed in; layers and converted are memory for both. */
static int build(struct attn_encoder **encoder, const struct attn_model_description *description,
                 struct attn_layer_config *layers, struct attn_tensor *tensors, size_t n_tensors,
                 enum attn_variant variant, struct attn_reason *why)
{
    struct attn_model_config config = config_of(description, layers);
    int error = attn_model_config_check(&config, why);
    if (error != 0)
        return error;
    struct attn_model_source source = {
        .config = &config,
        .tensors = tensors,
        .n_tensors = n_tensors,
        .hash = attn_model_hash(&config, tensors, n_tensors),
    };
    return attn_encoder_build(encoder, &source, variant, why);
}

int attn_plan_build(struct attn_plan **plan, const struct attn_model_description *description,
                    const struct attn_tensor_data *tensors, size_t n_tensors, const struct attn_model_options *options,
                    struct attn_reason *why)
{
    struct attn_model_options own;
    struct attn_encoder *encoder = NULL;
    int error = attn_model_options_take(&own, options, why);
    if (error == 0)
        error = check_counts(description, tensors, n_tensors, why);
    if (error != 0)
        return error;
    struct attn_layer_config *layers = calloc(description->n_layers, sizeof(*layers));
    struct attn_tensor *converted = calloc(n_tensors, sizeof(*converted));
    if (layers == NULL || converted == NULL)
        error = attn_refuse(why, ATTN_E_MEMORY, "no memory for a model of %zu tensors", n_tensors);
    if (error == 0)
        error = take_layers(layers, description, why);
    if (error == 0)
        error = take_tensors(converted, tensors, n_tensors, why);
    if (error == 0)
        error = build(&encoder, description, layers, converted, n_tensors, own.variant, why);
    free(layers);
    free(converted);
    return error != 0 ? error : attn_plan_make(plan, NULL, encoder, why);
}
