/* SPDX-License-Identifier: MIT */
/* Continual Nyström attention, single output, immediate refresh (maths sections 3, 4 and 7). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exact.h"
#include "segments.h"
#include "stacks.h"

/* Offsets, in floats, within the state of one head; each is a multiple of 16. */
struct attn_nystrom_layout {
    size_t keys;        /* [n][d], a ring: position t is in row t mod n */
    size_t values;      /* [n][d], a ring */
    size_t stacks;      /* ΔV, see stacks.h */
    size_t q_sum;       /* [d] of the open segment; this and what follows only for landmarks from segments */
    size_t k_sum;       /* [d] */
    size_t q_landmarks; /* Q̃ [m][d], scaled to logits in base 2 */
    size_t k_landmarks; /* K̃ [m][d] */
    size_t logits;      /* of Γ in base 2, [m][m] */
    size_t inverse;     /* g(Γ), [c][c] for the c landmarks that there are */
    size_t head;        /* floats of one head */
};

struct attn_nystrom {
    struct attn_shape shape;
    struct attn_segments segments; /* min(m, n) of them */
    struct attn_stacks stacks;
    struct attn_nystrom_layout layout;
    size_t landmarks;   /* m */
    bool share_norms;   /* inverse_scale = heads */
    float *q_landmarks; /* fixed ones: [H][m][d], scaled to logits in base 2; NULL: means of segments */
    float *k_landmarks; /* [H][m][d] */
    float *inverse;     /* g(Γ) of the fixed landmarks, [H][m][m] */
};

/* Derives everything constant; q and k landmarks [H][m][d] are copied, or both NULL. Returns 0 or ATTN_E_MEMORY; in
 * both cases the caller calls done. */
int attn_nystrom_init(struct attn_nystrom *nystrom, const struct attn_shape *shape, size_t landmarks, bool share_norms,
                      const float *q_landmarks, const float *k_landmarks);
void attn_nystrom_done(struct attn_nystrom *nystrom);

/* Floats of state and of scratch. */
size_t attn_nystrom_state(const struct attn_nystrom *nystrom);
size_t attn_nystrom_scratch(const struct attn_nystrom *nystrom);

void attn_nystrom_reset(const struct attn_nystrom *nystrom, float *state);

/* The step of position t: qkv [3][H][d] → output [H][d] (NULL: not computed). */
void attn_nystrom_step(const struct attn_nystrom *nystrom, float *state, uint64_t t, const float *qkv, float *output,
                       float *scratch);
