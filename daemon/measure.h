/* SPDX-License-Identifier: MIT */
/* Measures what a frame of a plan costs, on states of its own that it makes and frees. It knows no model, no stream and
 * no file. */
#pragma once

#include "daemon/cost.h"
#include "daemon/plan.h"

/* Sets the estimates for 1, 2, 4, … up to `most_together` frames, as many of them as limit_ns allows: after so much
 * time no more is measured (one step that is longer, and memory that has to be touched, may exceed it). Those of a
 * window that could not be filled by then are extrapolated. 0, or -1: no memory, and nothing is known. Any thread. */
int measure_plan(struct cost *cost, const struct plan *plan, size_t most_together, uint64_t limit_ns);
