/* SPDX-License-Identifier: MIT */
/* What a model's maker found its scores to be after some frames that everybody can make: a model that answers otherwise
 * here is damaged, or was trained with other equations than these. attnd-model(7), DIGEST. */
#pragma once

#include <stdint.h>

#include "attn/attn.h"
#include "encoder.h"

struct attn_digest {
    uint32_t frames; /* pushed before the last scores are looked at; 0: there is no digest */
    uint32_t n_scores;
    const double *scores; /* [n_scores], after the last frame */
};

/* Computes the same frames with the encoder. A digest without frames is right. Errors: ATTN_E_MODEL (the message names
 * the score), ATTN_E_MEMORY. */
int attn_digest_check(const struct attn_digest *digest, const struct attn_encoder *encoder, struct attn_reason *why);
