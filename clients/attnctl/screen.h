/* SPDX-License-Identifier: MIT */
/* The whole terminal, for a program that draws again and again: the alternate screen, keys without Enter. Whatever ends
 * or stops the process, the terminal is as it was before. One at a time: there is one terminal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Takes the terminal that is standard input and output. 0, or -1: it is none, or cannot be set. */
int screen_open(void);

/* Gives it back; also where it was not open. */
void screen_close(void);

/* Rows and columns now. */
void screen_size(int *rows, int *columns);

/* Draws one frame: lines, each ended by '\n', of which no more than there are rows are to be given; in one write, over
 * the frame before, so that nothing flickers. */
void screen_draw(const char *text, size_t n_text);

/* A key, or 0 where none came within this time, or the window changed its size. -1: there will be none any more. */
int screen_key(int timeout_ms);
