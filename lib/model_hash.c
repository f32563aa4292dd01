/* SPDX-License-Identifier: MIT */
/* What tells models apart that come without a file: every part of configuration and tensors that outputs depend on, and
 * the labels. */
#include <string.h>

#include "hash.h"
#include "model.h"

uint64_t attn_model_hash(const struct attn_model_config *config, const struct attn_tensor *tensors, size_t n_tensors)
{
    const uint32_t fields[] = {
        config->input_dim,    config->model_dim, config->heads,      config->window, config->positions,
        config->residual_tap, config->norm,      config->activation, config->head,   config->n_layers,
    };
    uint64_t hash = attn_hash(ATTN_HASH_START, fields, sizeof(fields));
    for (uint32_t i = 0; i < config->n_layers; i++) {
        const struct attn_layer_config *layer = &config->layers[i];
        const uint32_t of_layer[] = {layer->method,        layer->landmarks,   layer->landmark_policy, layer->refresh,
                                     layer->inverse_scale, layer->retroactive, layer->head_merge};
        hash = attn_hash(hash, of_layer, sizeof(of_layer));
    }
    for (uint32_t i = 0; i < config->n_labels; i++)
        hash = attn_hash(hash, config->labels[i], strlen(config->labels[i]) + 1);
    for (size_t i = 0; i < n_tensors; i++) {
        hash = attn_hash(hash, tensors[i].name, strlen(tensors[i].name) + 1);
        hash = attn_hash(hash, tensors[i].values, tensors[i].n_values * sizeof(float));
    }
    return hash;
}
