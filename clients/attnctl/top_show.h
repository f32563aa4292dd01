/* SPDX-License-Identifier: MIT */
/* The picture of `attnctl top`, as text. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "attnctl/terminal.h"
#include "attnctl/top_sample.h"

/* Writes at most `rows` lines of at most `columns` characters for what top_difference found. */
void top_show(FILE *out, const struct terminal *terminal, const json_t *difference, enum top_order order, int rows,
              int columns);
