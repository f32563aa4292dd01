/* SPDX-License-Identifier: MIT */
#include "tensor.h"

#include <inttypes.h>
#include <string.h>

#include "reason.h"

const struct attn_tensor *attn_tensor_find(const struct attn_tensor *tensors, size_t n_tensors, const char *name)
{
    for (size_t i = 0; i < n_tensors; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return &tensors[i];
    return NULL;
}

/* NaN and infinities are the floats whose exponent bits are all ones. */
int attn_tensor_check_finite(const struct attn_tensor *tensor, struct attn_reason *why)
{
    const unsigned char *values = tensor->values;
    for (size_t i = 0; i < tensor->n_values; i++) {
        uint32_t bits;
        memcpy(&bits, values + i * sizeof(bits), sizeof(bits));
        if ((bits & 0x7f800000u) != 0x7f800000u)
            continue;
        if (tensor->offset == 0)
            return attn_refuse(why, ATTN_E_MODEL, "tensor %s: value %zu is NaN or infinite", tensor->name, i);
        return attn_refuse(why, ATTN_E_MODEL, "tensor %s: value %zu, at offset %zu, is NaN or infinite", tensor->name,
                           i, tensor->offset + i * sizeof(bits));
    }
    return 0;
}

static int check_shape(const struct attn_tensor *tensor, struct attn_reason *why)
{
    uint64_t n_values = 1;
    if (tensor->rank > ATTN_MAX_RANK)
        return attn_refuse(why, ATTN_E_MODEL, "tensor %s: its rank is %" PRIu32 "; the limit is %d", tensor->name,
                           tensor->rank, ATTN_MAX_RANK);
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] == 0 || __builtin_mul_overflow(n_values, tensor->shape[i], &n_values))
            return attn_refuse(why, ATTN_E_MODEL, "tensor %s: shape[%" PRIu32 "] is %" PRIu64 ", which cannot be",
                               tensor->name, i, tensor->shape[i]);
    if (n_values != tensor->n_values)
        return attn_refuse(why, ATTN_E_MODEL, "tensor %s: it has %zu values, but its shape needs %" PRIu64,
                           tensor->name, tensor->n_values, n_values);
    if (tensor->values == NULL)
        return attn_refuse(why, ATTN_E_MODEL, "tensor %s has no values", tensor->name);
    return 0;
}

int attn_tensor_check(const struct attn_tensor *tensors, size_t n_tensors, struct attn_reason *why)
{
    for (size_t i = 0; i < n_tensors; i++) {
        const char *name = tensors[i].name;
        if (name == NULL || name[0] == '\0' || strlen(name) > ATTN_MAX_NAME_BYTES)
            return attn_refuse(why, ATTN_E_MODEL, "tensor number %zu has no name of 1 to %d bytes", i,
                               ATTN_MAX_NAME_BYTES);
        if (attn_tensor_find(tensors, i, name) != NULL)
            return attn_refuse(why, ATTN_E_MODEL, "tensor %s is there twice", name);
        int error = check_shape(&tensors[i], why);
        if (error == 0)
            error = attn_tensor_check_finite(&tensors[i], why);
        if (error < 0)
            return error;
    }
    return 0;
}
