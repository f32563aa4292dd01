/* SPDX-License-Identifier: MIT */
/* The kernels with no instructions but those that every machine has. */
#include "vector_generic.h"

#include "body.h"

const struct attn_kernels attn_kernels_generic = {.variant = ATTN_VARIANT_GENERIC, .name = "generic", BODY};
