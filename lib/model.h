/* SPDX-License-Identifier: MIT */
/* A model, checked and packed: configuration and weights. It knows nothing of files, states and steps. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attention.h"
#include "attn/attn.h"
#include "kernels/kernels.h"
#include "linear.h"
#include "model_config.h"
#include "norm.h"
#include "tensor.h"
#include "window.h"

struct attn_layer {
    struct attn_attention *attention; /* NULL in a second layer that recomputes its window: */
    struct attn_window *window;       /* the attention of such a layer, or NULL */
    struct attn_linear q;             /* E → q, of such a layer; absent elsewhere, or where q is the input */
    struct attn_linear qkv;           /* E → q | k | v, of such a layer k | v; absent: each of them is the input */
    struct attn_linear o;             /* E → E, or absent */
    struct attn_norm norm1, norm2;    /* E */
    struct attn_linear ff1, ff2;      /* E → F → E */
};

struct attn_model {
    struct attn_model_config config;
    const struct attn_kernels *kernels;
    uint64_t hash;
    struct attn_linear embed;  /* input_dim → E, or absent */
    float *pe;                 /* [positions][E], or NULL */
    struct attn_layer *layers; /* [config.n_layers] */
    struct attn_norm norm;     /* E, before the head */
    struct attn_linear head;   /* E → outputs, or absent */
};

/* What a model is made of. Nothing of it is needed afterwards, and nothing of it is trusted but that the pointers are
 * valid and values are finite (attn_tensor_check). */
struct attn_model_source {
    const struct attn_model_config *config;
    const struct attn_tensor *tensors;
    size_t n_tensors;
    uint64_t hash; /* what tells this model from others (attn_model_hash) */
};

/* Whether a layer keeps no state, but is recomputed from the rows of a retroactive layer before it. */
static inline bool attn_model_recomputes(const struct attn_model_config *config, uint32_t layer)
{
    return layer == 1 && config->layers[0].retroactive;
}

/* A hash of configuration and tensors, for a model that has no file to be hashed. */
uint64_t attn_model_hash(const struct attn_model_config *config, const struct attn_tensor *tensors, size_t n_tensors);

/* Takes each tensor that the configuration calls for, and refuses what is missing and what is left over. *model is the
 * caller's, to be emptied with done also after an error. Errors: ATTN_E_MODEL (the message names the tensor or the
 * field), ATTN_E_SUPPORT, ATTN_E_MEMORY. */
int attn_model_build(struct attn_model *model, const struct attn_model_source *source, enum attn_variant variant,
                     struct attn_reason *why);
void attn_model_done(struct attn_model *model);
