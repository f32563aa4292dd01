/* SPDX-License-Identifier: MIT */
/* What a stream can show, and text that fits it. It keeps no state, and touches no process-wide setting such as the
 * locale. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct terminal {
    bool is_terminal;
    bool utf8;    /* LC_ALL, LC_CTYPE or LANG says so */
    bool escapes; /* TERM is set and not "dumb" */
    bool colour;  /* escapes, and NO_COLOR is unset or empty */
    int columns;  /* of the terminal, else $COLUMNS, else 80 */
};

struct terminal terminal_of(FILE *file);

/* Columns of the terminal now; `otherwise` where it is none. */
int terminal_columns(FILE *file, int otherwise);

/* Bytes of the UTF-8 character at `text`, which ends with a NUL; 0 at the end, and for what may not be shown: what is
 * no UTF-8, control characters (C0, DEL, C1, so that no escape sequence begins), and characters that change the
 * direction of text, end a line or cannot be seen. Everything that comes from outside reaches a terminal by this rule.
 */
size_t terminal_character(const char *text);

#define TERMINAL_LABEL_BYTES 128

/* Writes a label padded or cut to `columns` characters, with "?" for what may not be shown (a label comes from a model
 * file), and for everything beyond ASCII where the terminal has no UTF-8. */
void terminal_label(const struct terminal *terminal, char text[TERMINAL_LABEL_BYTES], const char *label, int columns);

/* Makes any text, which may come from somebody else, safe to show, in its place: line ends and tabs become spaces, and
 * each byte of what else may not be shown "?". */
void terminal_make_safe(char *text);

/* Writes a text made safe, and a line's end. */
void terminal_put_line(FILE *file, const char *text);

/* Characters of a label. */
int terminal_label_columns(const char *label);

#define TERMINAL_BAR_BYTES 128

/* Writes a bar for a share (what is outside of 0 to 1 is cut) of `columns` ≤ 40 characters, padded with spaces. */
void terminal_bar(const struct terminal *terminal, char text[TERMINAL_BAR_BYTES], double share, int columns);
