/* SPDX-License-Identifier: MIT */
/*
 * What was heard when: the winning class of each moment, merged into segments as they come. A class that wins for less
 * than TIMELINE_LEAST_S is taken for a blip, and its time belongs to the class before it. Memory is one entry a
 * segment.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "attnctl/terminal.h"

#define TIMELINE_LEAST_S 0.3

struct timeline_segment {
    double start_s, end_s;
    uint32_t class; /* index of the score */
    double score;   /* mean of its score over the segment */
};

struct timeline;

/* For frames of n_scores > 0 scores. The caller's, to be freed; NULL: no memory. */
struct timeline *timeline_new(uint32_t n_scores);
void timeline_free(struct timeline *timeline);

/* Adds the frame that ends at time_s, later than the one before it. 0, or -1: no memory. */
int timeline_add(struct timeline *timeline, double time_s, const float *scores);

/* The segments so far, in order and without gaps from 0 to the last frame; they belong to the timeline, until the next
 * call with it. */
const struct timeline_segment *timeline_segments(struct timeline *timeline, size_t *n_segments);

/* Writes a line a segment, such as "   0.0 –   3.2 s  silence  ███████▊ 0.98". labels NULL: classes are numbered. */
void timeline_print(struct timeline *timeline, FILE *file, const struct terminal *terminal, const char *const *labels);
