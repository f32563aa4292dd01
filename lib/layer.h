/* SPDX-License-Identifier: MIT */
/* What stands around the attention of a layer (maths section 6), for many rows at a time; a row's bits depend on that row
 * alone. It knows nothing of streams and states. */
#pragma once

#include <stddef.h>

#include "model.h"

/* Floats of scratch memory for attn_layer_finish of n_rows; from 64 rows on it grows no more. */
size_t attn_layer_scratch(const struct attn_model *model, const struct attn_layer *layer, size_t n_rows);

/* What the attention sees of x[M][E]: x itself, or, pre-norm, y[M][E] = LN1(x). */
const float *attn_layer_source(const struct attn_model *model, const struct attn_layer *layer, size_t n_rows, float *y,
                               const float *x);

/* y[M][copies][E]: the rows of `linear`, which is from E to copies · E, or, where it is absent, of `source` so often. */
void attn_layer_project(const struct attn_model *model, const struct attn_linear *linear, size_t n_rows, size_t copies,
                        float *y, const float *source);

/* x[M][E], in: the residual x′; out: the layer's output for the attention's attended[M][E]. */
void attn_layer_finish(const struct attn_model *model, const struct attn_layer *layer, size_t n_rows, float *x,
                       const float *attended, float *scratch);
