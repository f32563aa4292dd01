/* SPDX-License-Identifier: MIT */
/* The live line: the classes with the highest scores as bars, redrawn in place. It knows nothing of streams. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "attnctl/terminal.h"

struct view {
    FILE *file;
    struct terminal terminal;
    const char *const *labels; /* [n_scores], or NULL: classes are numbered */
    uint32_t n_scores;
    int label_columns;
    uint64_t interval_us; /* the line is redrawn no more often; eyes and slow terminals cannot follow 100 a second */
    uint64_t drawn_us;
    bool is_drawn; /* the cursor is in the line */
};

/* The labels have to outlive the view. Nothing is allocated, and nothing needs to be released. */
void view_init(struct view *view, FILE *file, const char *const *labels, uint32_t n_scores);

/* Shows the scores [n_scores] of a moment; `warming`: they are not to be relied on yet. */
void view_live(struct view *view, double time_s, const float *scores, bool warming);

/* Takes the line away, before anything else is written to the terminal, and at the end. */
void view_clear(struct view *view);
