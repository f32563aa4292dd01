/* SPDX-License-Identifier: MIT */
/* The encoder around the attention (maths section 6): embedding, positions, layers, head. It knows nothing of files. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"

struct attn_encoder; /* immutable after its making */

/* Reads a model from the bytes of a safetensors file: see attn_plan_parse. Owner: the caller. */
int attn_encoder_parse(struct attn_encoder **encoder, const void *bytes, size_t n_bytes, struct attn_reason *why);
void attn_encoder_free(struct attn_encoder *encoder);

/* Fills all of *info (state_bytes and scratch_bytes without the header that plan.c keeps before them). */
void attn_encoder_info(const struct attn_encoder *encoder, struct attn_info *info);
uint32_t attn_encoder_output_dim(const struct attn_encoder *encoder, enum attn_output kind);

void attn_encoder_reset(const struct attn_encoder *encoder, void *state);

/* The step of position t on a finite frame [input_dim]; output NULL: not computed. */
void attn_encoder_step(const struct attn_encoder *encoder, void *state, uint64_t t, const float *frame,
                       enum attn_output kind, float *output, void *scratch);
