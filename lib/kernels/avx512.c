/* SPDX-License-Identifier: MIT */
/* The kernels with AVX-512. */
#include "vector_avx512.h"

#include "body.h"

const struct attn_kernels attn_kernels_avx512 = {.variant = ATTN_VARIANT_AVX512, .name = "avx512", BODY};
