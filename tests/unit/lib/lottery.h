/* SPDX-License-Identifier: MIT */
/* Random plans for property tests, the same for the same seed: raw attentions of any options, and small models. It
 * knows nothing of what is tested with them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attn/attn.h"

/* The next random number of a series; *series is any number at first. */
uint64_t lottery_next(uint64_t *series);

/* 0 … n − 1 */
size_t lottery_below(uint64_t *series, size_t n);

/* x[n] roughly normal. */
void lottery_fill(uint64_t *series, float *x, size_t n, double deviation);

/* Makes a plan, which the caller frees, and says in text what it is. The variant draws nothing from the series. */
struct attn_plan *lottery_plan(uint64_t *series, enum attn_variant variant, char *text, size_t n_text);
