/* SPDX-License-Identifier: MIT */
/* The two-layer form (maths section 5): all rows of the first layer anew at each frame, and the attention of the second
 * over them. It knows nothing of embeddings and heads. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "model.h"

/* Bytes of the state of one stream: the first layer's attention, and the inputs of the window. */
uint64_t attn_two_layers_state_bytes(const struct attn_model *model);

/* Bytes of scratch memory for n frames: counted in 64 bits, since a model may claim more than any memory. */
uint64_t attn_two_layers_scratch_bytes(const struct attn_model *model, size_t n);

/* Multiply-adds of a frame whose window is full. */
double attn_two_layers_multiply_adds(const struct attn_model *model);

/* Makes a state empty; it is zeros already. */
void attn_two_layers_reset(const struct attn_model *model, void *state);

/* Applies n frames. x[n][E], in: the inputs of the first layer; out: the outputs of the second, but only those of the
 * frames that want an output, one after the other. */
void attn_two_layers_step(const struct attn_model *model, struct attn_encoder_frame *frames, size_t n, float *x,
                          void *scratch);
