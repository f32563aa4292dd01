/* SPDX-License-Identifier: MIT */
#include "attnctl/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_CELLS         8
#define MOST_LABEL_COLUMNS 20
#define MOST_BAR_COLUMNS   16
#define LEAST_BAR_COLUMNS  6
#define TIME_COLUMNS       11 /* "123456.7 s" and a space */
#define WARMING            " warming"

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void view_init(struct view *view, FILE *file, const char *const *labels, uint32_t n_scores)
{
    *view = (struct view){.file = file,
                          .terminal = terminal_of(file),
                          .labels = labels,
                          .n_scores = n_scores,
                          .label_columns = 5,
                          .interval_us = 50000};
    for (uint32_t i = 0; labels != NULL && i < n_scores; i++) {
        int columns = terminal_label_columns(labels[i]);

        if (columns > view->label_columns)
            view->label_columns = columns < MOST_LABEL_COLUMNS ? columns : MOST_LABEL_COLUMNS;
    }
}

static bool is_higher(float a, float b)
{
    return a > b || (isnan(b) && !isnan(a));
}

/* The indices of the n highest scores, highest first; returns how many there are. NaN comes last. */
static int find_top(const struct view *view, const float *scores, uint32_t *top, int n)
{
    int n_found = 0;

    for (uint32_t i = 0; i < view->n_scores; i++) {
        int place = n_found < n ? n_found : n;

        while (place > 0 && is_higher(scores[i], scores[top[place - 1]]))
            place--;
        if (place == n)
            continue;
        n_found += n_found < n;
        memmove(top + place + 1, top + place, sizeof(*top) * (size_t)(n_found - 1 - place));
        top[place] = i;
    }
    return n_found;
}

/* One class: "  speech ████▌  0.97", the first one in green. */
static void draw_cell(const struct view *view, uint32_t index, double score, int bar_columns, bool is_first)
{
    char label[TERMINAL_LABEL_BYTES], bar[TERMINAL_BAR_BYTES], number[16];

    snprintf(number, sizeof(number), "#%u", index);
    terminal_label(&view->terminal, label, view->labels != NULL ? view->labels[index] : number, view->label_columns);
    terminal_bar(&view->terminal, bar, score, bar_columns);
    fprintf(view->file, "  %s %s%s%s %4.2f", label, is_first && view->terminal.colour ? "\033[32m" : "", bar,
            is_first && view->terminal.colour ? "\033[0m" : "", score);
}

void view_live(struct view *view, double time_s, const float *scores, bool warming)
{
    uint64_t now = now_us();
    int columns = terminal_columns(view->file, view->terminal.columns) - 1, room, cell, bar, n_cells;
    uint32_t top[MOST_CELLS];

    if (view->is_drawn && now - view->drawn_us < view->interval_us)
        return;
    room = columns - TIME_COLUMNS - (int)strlen(WARMING);
    cell = 2 + view->label_columns + 1 + LEAST_BAR_COLUMNS + 1 + 5;
    n_cells = room / cell < MOST_CELLS ? room / cell : MOST_CELLS;
    n_cells = find_top(view, scores, top, n_cells > 0 ? n_cells : 0);
    bar = n_cells > 0 ? LEAST_BAR_COLUMNS + (room - n_cells * cell) / n_cells : 0;
    if (bar > MOST_BAR_COLUMNS)
        bar = MOST_BAR_COLUMNS;
    fprintf(view->file, "\r%8.1f s", time_s);
    for (int i = 0; i < n_cells; i++)
        draw_cell(view, top[i], (double)scores[top[i]], bar, i == 0);
    fputs(warming ? WARMING : "", view->file);
    if (view->terminal.escapes)
        fputs("\033[K", view->file);
    else if (!warming)
        fprintf(view->file, "%*s", (int)strlen(WARMING), "");
    fflush(view->file);
    view->drawn_us = now;
    view->is_drawn = true;
}

void view_clear(struct view *view)
{
    if (!view->is_drawn)
        return;
    if (view->terminal.escapes)
        fputs("\r\033[K", view->file);
    else
        fputc('\n', view->file);
    fflush(view->file);
    view->is_drawn = false;
}
