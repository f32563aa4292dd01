/* SPDX-License-Identifier: MIT */
/* Models from the bytes of a safetensors file: the one place where configuration, tensors and encoder meet. It opens no
 * file. */
#pragma once

#include <stddef.h>

#include "attn/attn.h"
#include "encoder.h"
#include "model_json.h"
#include "safetensors.h"

struct attn_model_file {
    struct attn_safetensors tensors;
    struct attn_model_json json;
};

/* Judges a file of n_bytes by its header and the configuration in it, of which `bytes` has the first
 * ATTN_SAFETENSORS_BEGIN, or all. *file is to be emptied with done in any case. Errors: those of attn_plan_parse. */
int attn_model_file_open(struct attn_model_file *file, const void *bytes, size_t n_bytes, struct attn_reason *why);

/* Makes the model of a file that was opened, of which `bytes` has all. *encoder is the caller's, and NULL after an
 * error. Errors: likewise. */
int attn_model_file_build(struct attn_encoder **encoder, struct attn_model_file *file, const void *bytes,
                          size_t n_bytes, enum attn_variant variant, struct attn_reason *why);

void attn_model_file_done(struct attn_model_file *file);

/* All at once. Reads a model: see attn_plan_parse. *encoder is the caller's, and NULL after an error. */
int attn_model_file_parse(struct attn_encoder **encoder, const void *bytes, size_t n_bytes, enum attn_variant variant,
                          struct attn_reason *why);
