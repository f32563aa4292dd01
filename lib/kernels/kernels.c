/* SPDX-License-Identifier: MIT */
#include "kernels.h"

#include "variants.h"

/* The build says which tables are linked in (Makefile.inc): the generic one always is. */
static const struct attn_kernels *table(enum attn_variant variant)
{
    switch (variant) {
    case ATTN_VARIANT_GENERIC:
        return &attn_kernels_generic;
#ifdef ATTN_X86_64
    case ATTN_VARIANT_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &attn_kernels_avx2 : NULL;
    case ATTN_VARIANT_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
                   ? &attn_kernels_avx512
                   : NULL;
#endif
#ifdef ATTN_AARCH64
    case ATTN_VARIANT_NEON:
        return &attn_kernels_neon;
#endif
    default:
        return NULL;
    }
}

const struct attn_kernels *attn_kernels_of(enum attn_variant variant)
{
    static const enum attn_variant best_first[] = {ATTN_VARIANT_AVX512, ATTN_VARIANT_AVX2, ATTN_VARIANT_NEON,
                                                   ATTN_VARIANT_GENERIC};
    if (variant != ATTN_VARIANT_BEST)
        return table(variant);
    const struct attn_kernels *best = NULL;
    for (size_t i = 0; best == NULL; i++)
        best = table(best_first[i]);
    return best;
}

const char *attn_variant_name(enum attn_variant variant)
{
    const struct attn_kernels *kernels = attn_kernels_of(variant);
    return kernels != NULL ? kernels->name : NULL;
}
