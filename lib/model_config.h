/* SPDX-License-Identifier: MIT */
/* The configuration of a model: which architecture its tensors are for. It knows nothing of the tensors themselves, and of
 * no file format (model_json.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "bounds.h"

struct attn_layer_config {
    enum attn_method method;
    uint32_t landmarks; /* m, 0 for the exact method */
    enum attn_landmark_policy landmark_policy;
    enum attn_refresh refresh;
    enum attn_inverse_scale inverse_scale;
    bool retroactive; /* only of the first layer of two */
    enum attn_head_merge head_merge;
};

struct attn_model_config {
    uint32_t input_dim;
    uint32_t model_dim; /* E */
    uint32_t heads;     /* H, which divides E */
    uint32_t window;    /* n, frames, of every layer */
    uint32_t positions; /* P, 0: no positional encoding */
    enum attn_residual_tap residual_tap;
    enum attn_norm_place norm;
    enum attn_activation activation;
    enum attn_head head;
    uint32_t n_layers;
    const struct attn_layer_config *layers;
    uint32_t n_labels; /* 0: the outputs have no names */
    const char *const *labels;
    const char *frontend; /* compact JSON text, or NULL: the model is fed with features */
    const char *events;   /* compact JSON text, or NULL: the model says nothing of events */
};

/* The numbers, and what they may be: X(name, least, most). */
#define ATTN_MODEL_NUMBERS(X)           \
    X(input_dim, 1, ATTN_MAX_WIDTH)     \
    X(model_dim, 1, ATTN_MAX_WIDTH)     \
    X(heads, 1, ATTN_MAX_HEADS)         \
    X(window, 1, ATTN_MAX_WINDOW)       \
    X(positions, 0, ATTN_MAX_POSITIONS)

/* Whether every value is in range and they fit each other. Errors: ATTN_E_MODEL (the message names the field),
 * ATTN_E_MEMORY. */
int attn_model_config_check(const struct attn_model_config *config, struct attn_reason *why);

/* Makes *copy of its own memory, to be emptied with done also after the error, which is ATTN_E_MEMORY. */
int attn_model_config_copy(struct attn_model_config *copy, const struct attn_model_config *config,
                           struct attn_reason *why);
void attn_model_config_done(struct attn_model_config *copy);
