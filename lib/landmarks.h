/* SPDX-License-Identifier: MIT */
/* The landmarks of one layer and g of their Γ (maths sections 3 and 4), either fixed by the model or means of segments.
 * It knows nothing of values and windows. */
#pragma once

#include <stdbool.h>

#include "attn/attn.h"
#include "exact.h"
#include "inverse.h"
#include "place.h"

/* Constant. Landmarks stand at the place of their segment in every array, not in the order of their age, for β g(Γ) ΔV
 * does not depend on the order. Q̃ and K̃ are scaled, so that products with keys and queries are logits in base 2, and
 * both are transposed: a product with a vector then runs over landmarks side by side. */
struct attn_landmarks {
    struct attn_shape shape;
    struct attn_segments segments; /* as many as landmarks, unless these are fixed */
    size_t count;                  /* m */
    bool share_norms;              /* inverse_scale = heads */
    bool spread;
    bool fixed;
    struct {
        float *q;       /* [H][m][d], scaled; NULL unless fixed, as all of these */
        float *q_by_d;  /* [H][d][m] */
        float *k_by_d;  /* [H][d][m] */
        float *inverse; /* [H][m][m] */
    } own;
    size_t head_floats; /* of state, a multiple of 16; without any frame it is zeros */
};

/* One head's landmarks, in its state or in the plan. What is only for means is NULL where they are fixed. */
struct attn_landmarks_head {
    float *q_by_d;    /* [d][m] */
    float *k_by_d;    /* [d][m] */
    float *inverse;   /* g(Γ), [m][m], rows and columns of places without a landmark are 0 */
    float *logits;    /* of Γ in base 2, [m][m] */
    float *q_sum;     /* [d], of the open segment; when it closes, q̃ */
    float *k_sum;     /* [d], k̃ */
    float *pending_q; /* [d], scaled: the landmark of the segment that closed last */
    float *pending_k; /* [d], scaled */
    /* Only with spread: the Γ whose g is made while the frames of a segment arrive, and that g on its way. When the
     * segment closes, work.z and inverse change places. */
    float *gamma;
    struct attn_inverse_matrices work;
};

/* The landmarks that count at some time: `count` of the m places, going round, up to `newest`. */
struct attn_arc {
    size_t m, newest, count;
};

/* q and k landmarks [H][m][d] are copied, or both NULL: means of segments. Returns 0 or ATTN_E_MEMORY; in both cases
 * the caller calls done. */
int attn_landmarks_init(struct attn_landmarks *landmarks, const struct attn_options *options,
                        const struct attn_shape *shape, struct attn_run *run);
void attn_landmarks_done(struct attn_landmarks *landmarks);

/* Floats of scratch. */
size_t attn_landmarks_scratch(const struct attn_landmarks *landmarks);

/* How many segments have closed, odd or even: which of two places g(Γ) has with spread refresh. Before and after a step
 * may differ. */
bool attn_landmarks_odd(const struct attn_landmarks *landmarks, const struct attn_place *place, bool after);

/* The parts of head h, whose state is `memory`. They are set where they will be: every frame asks for them, and what
 * has been written in pieces is slow to copy. */
void attn_landmarks_find(const struct attn_landmarks *landmarks, struct attn_landmarks_head *head, float *memory,
                         size_t h, bool odd);

/* L_t. */
struct attn_arc attn_landmarks_now(const struct attn_landmarks *landmarks, const struct attn_place *place);

/* q_t and k_t join the means of the open segment. */
void attn_landmarks_gather(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_place *place,
                           const struct attn_landmarks_head *head, const float *q, const float *k);

/* Where the place's frame closes a segment: the landmark that enters takes its place, and that of the segment that
 * closes becomes known. With immediate refresh they are one, with spread the one that enters was known a segment
 * earlier. Scratch: attn_landmarks_scratch. */
void attn_landmarks_close(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_place *place,
                          const struct attn_landmarks_head *head, float *scratch);

/* g(Γ) of all heads; `state` is the first head's landmarks, and the others' come every `stride` floats. Immediate
 * refresh: all of it where the frame closes a segment, after `close`. Spread: the share of this frame, before `close`.
 */
void attn_landmarks_refresh(const struct attn_landmarks *landmarks, struct attn_run *run,
                            const struct attn_place *place, float *state, size_t stride, float *scratch);

/* logits[m] = ℓ(q, k̃_j) in base 2, masked. */
void attn_landmarks_compare(const struct attn_landmarks *landmarks, struct attn_run *run, const struct attn_arc *now,
                            const struct attn_landmarks_head *head, const float *q, float *logits);

/* weights[m] = β[m] · g(Γ); 0 at places without a landmark. */
void attn_landmarks_weigh(const struct attn_landmarks *landmarks, struct attn_run *run,
                          const struct attn_landmarks_head *head, const float *beta, float *weights);

/* Makes the logits of places that are not in the arc those of nothing. */
void attn_landmarks_mask(const struct attn_arc *arc, float *logits);
