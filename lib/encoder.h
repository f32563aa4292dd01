/* SPDX-License-Identifier: MIT */
/* The encoder around the attention (maths sections 5 and 6): embedding, positions, layers, head, for one frame each of
 * many streams at a time. It knows nothing of files. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "frame.h"
#include "model.h"

struct attn_encoder; /* immutable after its making */

/* Makes an encoder of configuration and tensors: see attn_model_build. Owner: the caller. */
int attn_encoder_build(struct attn_encoder **encoder, const struct attn_model_source *source, enum attn_variant variant,
                       struct attn_reason *why);
void attn_encoder_free(struct attn_encoder *encoder);

/* What attn_most_multiply_adds tells. */
double attn_encoder_most_multiply_adds(const struct attn_encoder *encoder);

/* Fills all of *info but size, saved_bytes, and what a plan adds to state_bytes; scratch_bytes is that of one frame. */
void attn_encoder_info(const struct attn_encoder *encoder, struct attn_info *info);
uint32_t attn_encoder_output_dim(const struct attn_encoder *encoder, enum attn_output kind);

/* Bytes of scratch memory for n frames; a multiple of ATTN_ALIGN. */
size_t attn_encoder_scratch_bytes(const struct attn_encoder *encoder, size_t n);

/* Makes the state block empty. */
void attn_encoder_reset(const struct attn_encoder *encoder, void *state);

/* The step of n frames of n different streams: the bits of each are those that it has alone. `scratch`:
 * attn_encoder_scratch_bytes(n), or more, aligned to ATTN_ALIGN. No input, output or state overlaps another. */
void attn_encoder_step(const struct attn_encoder *encoder, struct attn_encoder_frame *frames, size_t n, void *scratch);

/* The largest attn_attention_verify of the layers that keep a state. Errors: ATTN_E_MEMORY. */
int attn_encoder_verify(const struct attn_encoder *encoder, void *state, struct attn_when newest, double *difference);
