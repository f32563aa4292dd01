/* SPDX-License-Identifier: MIT */
/* The kernels with AVX2 and FMA. */
#include "vector_avx2.h"

#include "body.h"

const struct attn_kernels attn_kernels_avx2 = {.variant = ATTN_VARIANT_AVX2, .name = "avx2", BODY};
