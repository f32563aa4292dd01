/* SPDX-License-Identifier: MIT */
/* Which options of an attention are legal together, and reading them from callers of any version. It computes nothing.
 */
#pragma once

#include "attn/attn.h"

/* Copies the options of a caller into *own, which becomes one of this version: fields that an older caller's struct
 * lacks are zeros. 0, or ATTN_E_OPTIONS where no version had options of that size. */
int attn_options_take(struct attn_options *own, const struct attn_options *options, struct attn_reason *why);

/* The same for a model's options; NULL stands for all defaults. It checks the variant, too. */
int attn_model_options_take(struct attn_model_options *own, const struct attn_model_options *options,
                            struct attn_reason *why);

/* Checks options of this version's size. 0, or ATTN_E_OPTIONS with the reason. */
int attn_options_check(const struct attn_options *options, struct attn_reason *why);
