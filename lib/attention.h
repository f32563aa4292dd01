/* SPDX-License-Identifier: MIT */
/* One continual attention layer: its plan, and the step on a state block. It knows nothing of projections, norms or models. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"
#include "run.h"

struct attn_attention;  /* immutable after its making */

/* Checks the options and derives everything constant (segment bounds, offsets in the state). Owner: the caller. */
int attn_attention_new(struct attn_attention **attention, const struct attn_options *options, struct attn_reason *why);
void attn_attention_free(struct attn_attention *attention);

size_t attn_attention_state_bytes(const struct attn_attention *attention);      /* multiple of ATTN_ALIGN */
size_t attn_attention_scratch_bytes(const struct attn_attention *attention);    /* multiple of ATTN_ALIGN */
uint32_t attn_attention_replay_frames(const struct attn_attention *attention);  /* R of the layer */
const struct attn_options *attn_attention_options(const struct attn_attention *attention);
const struct attn_kernels *attn_attention_kernels(const struct attn_attention *attention);

/* Makes the state block empty. */
void attn_attention_reset(const struct attn_attention *attention, void *state);

/* The step at `when` (one position more each call): qkv [3][H][d] in, output [H][d] out (NULL: not computed). The frame is
 * finite, and qkv does not overlap output. A retroactive layer writes all |W_t| rows that exist, oldest first:
 * [|W_t|][H][d], or, with `raw` (head_merge), [H][|W_t|][d]. */
void attn_attention_step(const struct attn_attention *attention, struct attn_run *run, void *state, struct attn_when when,
                         const float *qkv, float *output, bool raw, void *scratch);

/* The largest |difference| / max|v| between the newest output as the state gives it and as the window gives it in double
 * precision. Errors: ATTN_E_MEMORY. */
int attn_attention_verify(const struct attn_attention *attention, void *state, struct attn_when newest,
                          double *difference);

/* The output of the newest of n_frames frames [n_frames][3][H][d], recomputed from the window in float32. */
int attn_attention_batch(const struct attn_attention *attention, const float *frames, size_t n_frames, float *output);
