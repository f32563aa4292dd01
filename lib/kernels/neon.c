/* SPDX-License-Identifier: MIT */
/* The kernels with the vectors of AArch64. */
#include "vector_neon.h"

#include "body.h"

const struct attn_kernels attn_kernels_neon = {.variant = ATTN_VARIANT_NEON, .name = "neon", BODY};
