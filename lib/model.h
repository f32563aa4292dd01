/* SPDX-License-Identifier: MIT */
/* What a model file holds, checked and packed: configuration and weights. It knows nothing of states and steps. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attention.h"
#include "attn/attn.h"
#include "linear.h"
#include "model_config.h"
#include "norm.h"

struct attn_layer {
    struct attn_linear qkv; /* E → q | k | v, 3E; absent: each of them is the input */
    struct attn_attention *attention;
    struct attn_linear o;          /* E → E, or absent */
    struct attn_norm norm1, norm2; /* E */
    struct attn_linear ff1, ff2;   /* E → F → E */
};

struct attn_model {
    struct attn_model_config config;
    uint64_t hash;             /* of the whole file */
    struct attn_linear embed;  /* input_dim → E, or absent */
    float *pe;                 /* [positions][E], or NULL */
    struct attn_layer *layers; /* [config.n_layers] */
    struct attn_norm norm;     /* E, before the head */
    struct attn_linear head;   /* E → outputs, or absent */
};

/* Reads the bytes of a model file, which are not needed afterwards. *model is the caller's, to be emptied with done
 * also after an error. Errors: ATTN_E_MODEL (the message names the tensor and the offset, or the field),
 * ATTN_E_SUPPORT, ATTN_E_MEMORY. */
int attn_model_init(struct attn_model *model, const void *bytes, size_t n_bytes, struct attn_reason *why);
void attn_model_done(struct attn_model *model);
