/* SPDX-License-Identifier: MIT */
/* Reads the bytes of a safetensors file and trusts none of them. It knows nothing of models: any tensors will do, as
 * long as they are finite float32 and fill the file without hole or overlap. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "bounds.h"

struct json_t;

struct attn_tensor {
    const char *name;
    uint32_t rank;
    uint64_t shape[ATTN_MAX_RANK];
    size_t n_values;             /* product of the shape */
    size_t offset;               /* of the first value, bytes from the start of the file */
    const unsigned char *values; /* float32, little-endian, in the file's bytes: not aligned */
};

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

/* The tensor of that name, or NULL. */
const struct attn_tensor *attn_safetensors_find(const struct attn_safetensors *file, const char *name);
