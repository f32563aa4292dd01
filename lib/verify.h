/* SPDX-License-Identifier: MIT */
/* The newest output of a layer recomputed in double precision from what its state holds of the window: an alarm for damaged
 * memory and for errors of ours. It shares no code with the steps. */
#pragma once

#include "landmarks.h"

/* What one head's state holds, and its newest output [d] as the steps give it. */
struct attn_verified {
    const float *keys, *values; /* rings [n][d] */
    const float *query;         /* [d], not scaled */
    const float *output;        /* [d] */
    struct attn_landmarks_head landmarks;
};

/* The largest |difference| / max|v| over all heads [H]; 0 where all of v and the difference are 0. `landmarks` NULL: exact
 * attention. Returns 0 or ATTN_E_MEMORY. */
int attn_verify_heads(const struct attn_shape *shape, const struct attn_landmarks *landmarks, struct attn_when newest,
                      const struct attn_verified *heads, double *difference);
