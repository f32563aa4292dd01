/* SPDX-License-Identifier: MIT */
/* Structs of options begin with their size and get new fields at their end, so that a program compiled against an
 * older header goes on working. */
#pragma once

#include <stddef.h>

#include "attnc/client.h"

/* Copies options that begin with their size_t size to own[n_own]; fields that they do not have yet are zero. `n_first`
 * is the size that the struct had at first, `name` what errors call it. 0, or ATTNC_E_OPTIONS with *error filled. */
int attnc_options_take(void *own, size_t n_own, size_t n_first, const void *options, const char *name,
                       struct attnc_error *error);
