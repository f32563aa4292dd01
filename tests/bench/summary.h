/* SPDX-License-Identifier: MIT */
/* What the run says about the goals, out of the rows of its table. */
#pragma once

#include <jansson.h>

/* Prints each ratio that has a goal, beside it. */
void bench_summary_print(const json_t *table);
