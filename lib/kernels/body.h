/* SPDX-License-Identifier: MIT */
/* A whole table of kernels out of the vectors that were included before: included once by each of generic.c, avx2.c,
 * avx512.c and neon.c. */
#pragma once

#include "kernels.h"
#include "variants.h"

#include "body_vector.h"

#include "body_function.h"

#include "body_aggregate.h"
#include "body_product.h"
#include "body_rows.h"
#include "body_shares.h"

#include "body_fold.h"
#include "body_read.h"

/* The members of a table that are functions. */
#define BODY                                                                                                           \
    .scale = scale, .add = add, .blend = blend, .transpose = transpose, .first_not_finite = first_not_finite,          \
    .logits = logits, .logits_by_d = logits_by_d, .fold = fold, .clamp = clamp, .combine = combine,                    \
    .product = product, .product_shifted = product_shifted, .packed = packed, .max = max_of, .weights = weights,       \
    .softmax2 = softmax2, .admit = admit, .extend = extend, .read_out = read_out, .shares = shares, .norm = norm,      \
    .gelu = gelu, .relu = relu, .softmax = softmax, .sigmoid = sigmoid
