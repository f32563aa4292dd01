/* SPDX-License-Identifier: MIT */
/* The configuration in a model file: JSON text to a struct whose values are in range and fit each other. */
#pragma once

#include "attn/attn.h"
#include "digest.h"
#include "model_config.h"

struct json_t;

struct attn_model_json {
    struct json_t *json;             /* owns the labels' text */
    struct attn_model_config config; /* points into what this struct owns */
    struct attn_layer_config *layers;
    const char **labels;
    char *frontend;
    char *events;
    struct attn_digest digest;
    double *scores; /* of the digest */
};

/* Reads the JSON text. *json is the caller's, to be emptied with done also after an error.
 * Errors: ATTN_E_MODEL (the message names the field), ATTN_E_MEMORY. */
int attn_model_json_init(struct attn_model_json *json, const char *text, struct attn_reason *why);
void attn_model_json_done(struct attn_model_json *json);
