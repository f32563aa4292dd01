/* SPDX-License-Identifier: MIT */
/* The formulas of maths sections 2 to 5 in double, recomputed from the frames in the window: plain, and quick enough
 * for long runs. It shares nothing with the library. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"

struct formula {
    const struct attn_options *options;
    size_t c;              /* landmarks in use; 0: attention is exact */
    uint64_t end;          /* of the newest segment among them */
    uint64_t (*bounds)[2]; /* [3m]: first position and one past the last of closed segments */
    double *q_landmarks;   /* [H][d][c], over √d */
    double *k_landmarks;   /* [H][d][c], over √d */
    double *inverse;       /* [H][c][c] */
    double *work;
};

/* The options must outlive it. */
void formula_init(struct formula *formula, const struct attn_options *options);
void formula_done(struct formula *formula);

/* Frames before t that its output may depend on. */
uint64_t formula_reach(const struct attn_options *options);

/* Output t of a stream that begins at position 0, [H][d] or, retroactive, [n][H][d]; `frames` [][3][H][d] begins at
 * position `from`, at or below t − formula_reach() unless that is negative. */
void formula_output(struct formula *formula, const float *frames, uint64_t from, uint64_t t, double *output);
