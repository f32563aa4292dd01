/* SPDX-License-Identifier: MIT */
/* Taking the tensors of an architecture out of a list by name and shape, one by one, until none is missing and none is left
 * over. It knows nothing of the architecture. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "tensor.h"

#define ATTN_ANY 0 /* a dimension of 1 to ATTN_MAX_WIDTH that the tensor itself decides */

struct attn_tensor_set {
    const struct attn_tensor *tensors;
    size_t n_tensors;
    bool *taken;    /* [n_tensors] */
    char where[24]; /* before the names of tensors: "blocks.3.", or nothing */
    struct attn_reason *why;
};

/* *set is the caller's, to be emptied with done also after the error, which is ATTN_E_MEMORY. */
int attn_tensor_set_init(struct attn_tensor_set *set, const struct attn_tensor *tensors, size_t n_tensors,
                         struct attn_reason *why);
void attn_tensor_set_done(struct attn_tensor_set *set);

/* Whether a part, "q" say, has a weight or a bias. */
bool attn_tensor_set_has(const struct attn_tensor_set *set, const char *part);

/* The tensor of that name and shape (rank dimensions). Error: ATTN_E_MODEL. */
int attn_tensor_set_take(const struct attn_tensor_set *set, const struct attn_tensor **tensor, const char *name,
                         uint32_t rank, const uint64_t *shape);

/* pair[2], the weight (n_out or ATTN_ANY, n_in) and the bias (n_out) of a part; n_in 0: the weight is (n_out), as a norm's
 * is. Error: ATTN_E_MODEL. */
int attn_tensor_set_take_pair(const struct attn_tensor_set *set, const struct attn_tensor *pair[2], const char *part,
                              uint64_t n_out, uint64_t n_in);

/* Error: ATTN_E_MODEL where a tensor was not taken, for one that nothing reads means that the tensors are for another
 * architecture. */
int attn_tensor_set_check_taken(const struct attn_tensor_set *set);
