/* SPDX-License-Identifier: MIT */
/* The two-layer form (maths section 5): all rows of the first layer anew at each frame, and the attention of the second
 * over them. It knows nothing of embeddings and heads. */
#pragma once

#include <stdint.h>

#include "model.h"
#include "run.h"

/* Bytes of the state: the first layer's attention, and the inputs of the window. */
uint64_t attn_two_layers_state_bytes(const struct attn_model *model);

/* Bytes of scratch memory: counted in 64 bits, since a model may claim more than any memory. */
uint64_t attn_two_layers_scratch_bytes(const struct attn_model *model);

/* Multiply-adds of a frame whose window is full. */
double attn_two_layers_multiply_adds(const struct attn_model *model);

/* Makes the state block empty. */
void attn_two_layers_reset(const struct attn_model *model, void *state);

/* One frame of one stream. x[E], in: the first layer's input; out: the second layer's residual x′. attended[E], out: the
 * second layer's attention of its newest row; NULL: the state advances, and x stays. */
void attn_two_layers_step(const struct attn_model *model, struct attn_run *run, void *state, struct attn_when when,
                           float *x, float *attended, void *scratch);
