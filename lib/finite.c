/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "attn/attn.h"

size_t attn_first_not_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return i;
    return n;
}
