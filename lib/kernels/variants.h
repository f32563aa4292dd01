/* SPDX-License-Identifier: MIT */
/* The tables that may have been compiled in: attn_kernels_of knows which. */
#pragma once

#include "kernels.h"

extern const struct attn_kernels attn_kernels_generic, attn_kernels_avx2, attn_kernels_avx512, attn_kernels_neon;
