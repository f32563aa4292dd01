/* SPDX-License-Identifier: MIT */
/* What a plan and a state are inside: a plan is a raw attention or an encoder, a state is a header and the block of the
 * one or the other. It knows nothing of what is in the block. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attention.h"
#include "attn/attn.h"
#include "encoder.h"
#include "run.h"

struct attn_plan {
    struct attn_attention *attention; /* one of the two is NULL */
    struct attn_encoder *encoder;
    const struct attn_kernels *kernels;
    struct attn_info info;
};

struct attn_state {
    uint64_t applied;                                     /* frames */
    uint64_t first;                                       /* the position of the first of them */
    struct attn_work work;                                /* of the newest */
    unsigned char pad[ATTN_ALIGN - 4 * sizeof(uint64_t)]; /* the block starts aligned, behind the header */
};

_Static_assert(sizeof(struct attn_state) == ATTN_ALIGN, "the header keeps the block aligned");

static inline void *attn_state_block(struct attn_state *state)
{
    return state + 1;
}

/* Of the block: info.state_bytes without the header. */
static inline size_t attn_state_block_bytes(const struct attn_plan *plan)
{
    return plan->info.state_bytes - sizeof(struct attn_state);
}

/* Where the next frame stands. */
static inline struct attn_when attn_state_next(const struct attn_state *state)
{
    return (struct attn_when){.t = state->first + state->applied, .first = state->first};
}

/* Makes *plan of one of the two parts, the other being NULL. The part is the plan's from here on, and freed when this
 * fails: ATTN_E_MEMORY. */
int attn_plan_make(struct attn_plan **plan, struct attn_attention *attention, struct attn_encoder *encoder,
                   struct attn_reason *why);

/* What a saved state has before and behind its block: saved.c. */
#define ATTN_SAVED_HEADER_BYTES   64
#define ATTN_SAVED_CHECKSUM_BYTES 8

/* Bytes of a saved state with a block of so many. */
static inline size_t attn_saved_bytes(size_t block_bytes)
{
    return ATTN_SAVED_HEADER_BYTES + block_bytes + ATTN_SAVED_CHECKSUM_BYTES;
}
