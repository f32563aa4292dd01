/* SPDX-License-Identifier: MIT */
/* A named array of a model, wherever it lies. It knows nothing of files and architectures. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "bounds.h"

struct attn_tensor {
    const char *name;
    uint32_t rank;
    uint64_t shape[ATTN_MAX_RANK];
    size_t n_values;    /* product of the shape */
    size_t offset;      /* of the first value, bytes from the start of its file; 0: it is in no file */
    const void *values; /* float32, little-endian, of any alignment */
};

/* The tensor of that name, or NULL. */
const struct attn_tensor *attn_tensor_find(const struct attn_tensor *tensors, size_t n_tensors, const char *name);

/* Whether all values are finite. Error: ATTN_E_MODEL; the message names the tensor and the value. */
int attn_tensor_check_finite(const struct attn_tensor *tensor, struct attn_reason *why);

/* Whether tensors that no file vouches for are well-formed: names of 1 to ATTN_MAX_NAME_BYTES bytes that differ, ranks and
 * shapes within the bounds whose product is n_values, finite values. Error: ATTN_E_MODEL. */
int attn_tensor_check(const struct attn_tensor *tensors, size_t n_tensors, struct attn_reason *why);
