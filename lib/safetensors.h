/* SPDX-License-Identifier: MIT */
/* Reads the bytes of a safetensors file and trusts none of them. It knows nothing of models: any tensors will do, as
 * long as they are finite float32 and fill the file without hole or overlap. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "tensor.h"

struct json_t;

struct attn_safetensors {
    struct json_t *header;     /* owns every name and the configuration */
    const char *configuration; /* the value of `attnd` in __metadata__: JSON text */
    size_t n_tensors;
    struct attn_tensor *tensors; /* by offset */
};

/* Reads a whole file. *file is the caller's, to be emptied with done also after an error; it points into `bytes`.
 * Errors: ATTN_E_MODEL (the message names the tensor and the offset), ATTN_E_MEMORY. */
int attn_safetensors_init(struct attn_safetensors *file, const void *bytes, size_t n_bytes, struct attn_reason *why);
void attn_safetensors_done(struct attn_safetensors *file);
