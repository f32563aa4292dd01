/* SPDX-License-Identifier: MIT */
/* What a step can cost at most, known before any was computed. */
#pragma once

#include "attn/attn.h"

/* Multiply-adds of the dearest step of a layer with these (checked) options: at least what attn_last_work counts, and
 * seldom more than twice that. */
double attn_work_most(const struct attn_options *options);
