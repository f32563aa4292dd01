/* SPDX-License-Identifier: MIT */
/* The configuration in a model file: JSON text to a struct whose values are in range and fit each other. It knows
 * nothing of tensors. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"

struct json_t;

enum attn_residual_tap { ATTN_TAP_NEWEST, ATTN_TAP_OLDEST };
enum attn_norm_place { ATTN_NORM_POST, ATTN_NORM_PRE };
enum attn_activation { ATTN_GELU, ATTN_RELU };
enum attn_head { ATTN_HEAD_SOFTMAX, ATTN_HEAD_SIGMOID, ATTN_HEAD_IDENTITY };

struct attn_layer_config {
    enum attn_method method;
    uint32_t landmarks; /* m, 0 for the exact method */
    enum attn_landmark_policy landmark_policy;
    enum attn_refresh refresh;
    enum attn_inverse_scale inverse_scale;
};

struct attn_model_config {
    struct json_t *json; /* owns the labels */
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
    struct attn_layer_config *layers;
    uint32_t n_labels; /* 0: the outputs have no names */
    const char **labels;
    char *frontend; /* compact JSON text, or NULL: the model is fed with features */
};

/* Reads the JSON text. *config is the caller's, to be emptied with done also after an error.
 * Errors: ATTN_E_MODEL (the message names the field), ATTN_E_SUPPORT, ATTN_E_MEMORY. */
int attn_model_config_init(struct attn_model_config *config, const char *text, struct attn_reason *why);
void attn_model_config_done(struct attn_model_config *config);
