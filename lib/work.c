/* SPDX-License-Identifier: MIT */
/*
 * Upper bounds of what the kernels count, a head: the terms are those of the steps (MATHS.md), the factors are chosen
 * so that no step counts more; a test compares them with what is counted. What a closing segment recomputes comes to
 * one frame, or with spread refresh to as many as a segment has.
 */
#include "work.h"

#include <stdbool.h>
#include <stdint.h>

#include "inverse.h"

/* The shortest of m segments of a window of n; at least 1. */
static double shortest_segment(const struct attn_options *options)
{
    uint32_t n = options->window, m = options->landmarks;
    return m < n ? n / m : 1;
}

static double longest_segment(const struct attn_options *options)
{
    uint32_t n = options->window, m = options->landmarks;
    return m < n ? (n + m - 1) / m : 1;
}

/* One row over n keys, and the sum of their values. */
static double exact(double n, double d)
{
    return n * (2 * d + 1) + 2 * d;
}

/* All rows of the window, each over m landmarks. */
static double all_rows(const struct attn_options *options, bool means)
{
    double n = options->window, m = options->landmarks, d = options->head_dim, longest = longest_segment(options);
    double rows = n * m * (4 * d + 4), landmarks = (means ? 2 : 1) * m * m * (d + 16);
    double segment = means ? longest * longest * (2 * d + 1) : 0;
    return rows + landmarks + (options->refresh == ATTN_REFRESH_SPREAD ? 4 : 1) * segment;
}

static double newest_row(const struct attn_options *options, bool means)
{
    double n = options->window, m = options->landmarks, d = options->head_dim;
    if (options->refresh == ATTN_REFRESH_IMMEDIATE)
        return 6 * n * (d + 1) + 8 * m * (d + 2) + (means ? 14 : 6) * m * m + 4 * d;
    return 16 * m * (d + 2) + (means ? 12 : 8) * m * m + 16 * d + (means ? 5 * longest_segment(options) * (d + 1) : 0);
}

static double inverse(const struct attn_options *options)
{
    bool is_spread = options->refresh == ATTN_REFRESH_SPREAD && !options->retroactive;
    return attn_inverse_multiply_adds(options->landmarks) / (is_spread ? shortest_segment(options) : 1);
}

double attn_work_most(const struct attn_options *options)
{
    double heads = options->heads, n = options->window, d = options->head_dim;
    bool means = options->landmark_policy == ATTN_LANDMARKS_MEANS;
    if (options->method == ATTN_EXACT || (means && options->landmarks >= options->window))
        return heads * (options->retroactive ? n : 1) * exact(n, d);
    double attention = options->retroactive ? all_rows(options, means) : newest_row(options, means);
    return heads * (attention + (means ? 1.05 * inverse(options) : 0));
}
