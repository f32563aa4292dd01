/* SPDX-License-Identifier: MIT */
/* Layers on top of each other, each with a window of its own inputs (the form of [DeepCoT]), for one frame each of many
 * streams. It knows nothing of embeddings and heads. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "model.h"

/* Bytes of the state of one stream. Counted in 64 bits, since a model may claim more than any memory. */
uint64_t attn_stack_state_bytes(const struct attn_model *model);

/* Where the attention of a layer lies in a state, bytes; behind it lies the layer's residual ring. */
size_t attn_stack_place(const struct attn_model *model, uint32_t layer);

/* Bytes of scratch memory for n frames. */
size_t attn_stack_scratch_bytes(const struct attn_model *model, size_t n);

/* Makes a state empty; it is zeros already. */
void attn_stack_reset(const struct attn_model *model, void *state);

/* Applies n frames. x[n][E], in: the inputs of the first layer; out: the outputs of the last, but only those of the frames
 * that want an output, one after the other. */
void attn_stack_step(const struct attn_model *model, struct attn_encoder_frame *frames, size_t n, float *x,
                     void *scratch);
