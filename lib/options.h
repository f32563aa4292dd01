/* SPDX-License-Identifier: MIT */
/* Which options of an attention are legal together. It computes nothing. */
#pragma once

#include "attn/attn.h"

/* 0, or ATTN_E_OPTIONS or ATTN_E_SUPPORT with the reason. */
int attn_options_check(const struct attn_options *options, struct attn_reason *why);
