/* SPDX-License-Identifier: MIT */
/* Models from the bytes of a safetensors file: the one place where configuration, tensors and encoder meet. It opens no
 * file. */
#pragma once

#include <stddef.h>

#include "attn/attn.h"
#include "encoder.h"

/* Reads a model: see attn_plan_parse. *encoder is the caller's, and NULL after an error. */
int attn_model_file_parse(struct attn_encoder **encoder, const void *bytes, size_t n_bytes, enum attn_variant variant,
                          struct attn_reason *why);
