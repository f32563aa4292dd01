/* SPDX-License-Identifier: MIT */
/* Reads the bytes of a safetensors file and trusts none of them. It knows nothing of models: any tensors will do, as
 * long as they are finite float32 and fill the file without hole or overlap. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "bounds.h"
#include "tensor.h"

struct json_t;

struct attn_safetensors {
    struct json_t *header;     /* owns every name and the configuration */
    const char *configuration; /* the value of `attnd` in __metadata__: JSON text */
    size_t n_tensors;
    struct attn_tensor *tensors; /* by offset */
};

/* As many bytes from the beginning of a file as its header may have, and the length before it. */
#define ATTN_SAFETENSORS_BEGIN (8 + (size_t)ATTN_MAX_HEADER_BYTES)

/* Judges a file of n_bytes by its header: all but the values, of which there may be a gigabyte. `bytes`: the first
 * ATTN_SAFETENSORS_BEGIN of them, or all. The tensors have no values yet; *file is to be emptied in any case, as below,
 * and points nowhere into `bytes`. Errors: as below. */
int attn_safetensors_open(struct attn_safetensors *file, const void *bytes, size_t n_bytes, struct attn_reason *why);

/* Gives the tensors of a file that was opened their values, which are in `bytes`, all of it, from now on. Errors:
 * ATTN_E_MODEL, one is not finite. */
int attn_safetensors_fill(struct attn_safetensors *file, const void *bytes, struct attn_reason *why);

/* Both at once. Reads a whole file. *file is the caller's, to be emptied with done also after an error; it points into
 * `bytes`. Errors: ATTN_E_MODEL (the message names the tensor and the offset), ATTN_E_MEMORY. */
int attn_safetensors_init(struct attn_safetensors *file, const void *bytes, size_t n_bytes, struct attn_reason *why);
void attn_safetensors_done(struct attn_safetensors *file);
