/* SPDX-License-Identifier: MIT */
/* One continual attention layer: its plan, and the step on a state block. It knows nothing of projections, norms or models. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"

struct attn_attention;  /* immutable after its making */

/* Checks the options and derives everything constant (segment bounds, offsets in the state). Owner: the caller. */
int attn_attention_new(struct attn_attention **attention, const struct attn_options *options, struct attn_reason *why);
void attn_attention_free(struct attn_attention *attention);

size_t attn_attention_state_bytes(const struct attn_attention *attention);      /* multiple of ATTN_ALIGN */
size_t attn_attention_scratch_bytes(const struct attn_attention *attention);    /* multiple of ATTN_ALIGN */
uint32_t attn_attention_replay_frames(const struct attn_attention *attention);  /* R of the layer */
const struct attn_options *attn_attention_options(const struct attn_attention *attention);

/* Makes the state block empty. */
void attn_attention_reset(const struct attn_attention *attention, void *state);

/* The step of position t (0 after reset, then one more each call): qkv [3][H][d] in, output [H][d] out (NULL: not computed).
 * The frame is finite, and qkv does not overlap output. */
void attn_attention_step(const struct attn_attention *attention, void *state, uint64_t t, const float *qkv, float *output,
                         void *scratch);

/* The output of the newest of n_frames frames [n_frames][3][H][d], recomputed from the window in float32. */
int attn_attention_batch(const struct attn_attention *attention, const float *frames, size_t n_frames, float *output);
