/* SPDX-License-Identifier: MIT */
/* Continual Nyström attention, single output (maths sections 3, 4 and 7). */
#pragma once

#include "fronts.h"
#include "landmarks.h"
#include "remainder.h"

/* Offsets, in floats, within the state of one head; each is a multiple of 16. */
struct attn_nystrom_layout {
    size_t keys;      /* [n][d], a ring: position t is in row t mod n */
    size_t values;    /* [n][d], a ring */
    size_t fronts;    /* ΔV without the remainder: fronts.h */
    size_t remainder; /* remainder.h */
    size_t query;     /* [d], the newest, for verification */
    size_t landmarks; /* landmarks.h; nothing where they are fixed */
    size_t head;      /* floats of one head */
};

struct attn_nystrom {
    struct attn_shape shape;
    struct attn_segments segments; /* of the sums: those of the landmarks, or two where these have one */
    struct attn_landmarks landmarks;
    struct attn_fronts fronts;
    struct attn_remainder remainder;
    struct attn_nystrom_layout layout;
};

/* Derives everything constant; fixed landmarks are copied. Returns 0 or ATTN_E_MEMORY; in both cases the caller calls
 * done. */
int attn_nystrom_init(struct attn_nystrom *nystrom, const struct attn_options *options, const struct attn_shape *shape,
                      struct attn_run *run);
void attn_nystrom_done(struct attn_nystrom *nystrom);

/* Floats of state and of scratch. */
size_t attn_nystrom_state(const struct attn_nystrom *nystrom);
size_t attn_nystrom_scratch(const struct attn_nystrom *nystrom);

void attn_nystrom_reset(const struct attn_nystrom *nystrom, float *state);

/* The step of a frame: qkv [3][H][d] → output [H][d] (NULL: not computed). */
void attn_nystrom_step(const struct attn_nystrom *nystrom, struct attn_run *run, float *state, struct attn_when when,
                       const float *qkv, float *output, float *scratch);

/* What the state holds of head h for verification: the rings, the newest query, and the landmarks. */
struct attn_nystrom_head {
    float *keys, *values, *query;
    struct attn_landmarks_head landmarks;
};
struct attn_nystrom_head attn_nystrom_at(const struct attn_nystrom *nystrom, float *state, size_t h);

/* The output [d] of head h at the newest frame, read again from the state. */
void attn_nystrom_read(const struct attn_nystrom *nystrom, struct attn_run *run, float *state, struct attn_when when,
                       size_t h, float *output, float *scratch);
