/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/terminal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "protocol/utf8.h"

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool locale_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = environment(names[i]);

        if (value != NULL)
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

int terminal_columns(FILE *file, int otherwise)
{
    struct winsize size;

    return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : otherwise;
}

struct terminal terminal_of(FILE *file)
{
    const char *term = environment("TERM"), *columns = environment("COLUMNS");
    struct terminal terminal = {.is_terminal = isatty(fileno(file)), .utf8 = locale_is_utf8()};
    int told = columns != NULL ? atoi(columns) : 0;

    terminal.escapes = terminal.is_terminal && term != NULL && strcmp(term, "dumb") != 0;
    terminal.colour = terminal.escapes && environment("NO_COLOR") == NULL;
    terminal.columns = terminal_columns(file, told > 0 && told < 1000 ? told : 80);
    return terminal;
}

/* Characters that are no control characters and yet act: they reorder what stands around them, or are a line's end, or
 * cannot be seen. Source: Unicode 15, chapter 23. */
static bool acts(const char *text, size_t n)
{
    static const struct {
        const char first[5], last[5];
    } acting[] = {
        {"\u061C", "\u061C"},         /* Arabic letter mark */
        {"\u200B", "\u200B"},         /* a space of no width; its joiners belong to words and stay */
        {"\u200E", "\u200F"},         /* marks of direction */
        {"\u2028", "\u202E"},         /* ends of line and paragraph; embeddings and overrides of direction */
        {"\u2060", "\u206F"},         /* invisible operators, isolates, deprecated controls */
        {"\uFEFF", "\uFEFF"},         /* byte order mark */
        {"\uFFF9", "\uFFFB"},         /* annotations */
        {"\U000E0000", "\U000E007F"}, /* tags */
    };

    for (size_t i = 0; i < sizeof(acting) / sizeof(acting[0]); i++) {
        if (strlen(acting[i].first) == n && memcmp(text, acting[i].first, n) >= 0 &&
            memcmp(text, acting[i].last, n) <= 0)
            return true;
    }
    return false;
}

size_t terminal_character(const char *text)
{
    size_t n = *text != '\0' ? attnp_utf8_step(text, strnlen(text, 4)) : 0;

    return n > 1 && acts(text, n) ? 0 : n;
}

void terminal_make_safe(char *text)
{
    while (*text != '\0') {
        size_t n = terminal_character(text);

        if (n == 0)
            *text = *text == '\n' || *text == '\t' ? ' ' : '?';
        text += n > 0 ? n : 1;
    }
}

void terminal_put_line(FILE *file, const char *text)
{
    while (*text != '\0') {
        size_t n = terminal_character(text);

        if (n > 0)
            fwrite(text, 1, n, file);
        else
            fputc(*text == '\n' || *text == '\t' ? ' ' : '?', file);
        text += n > 0 ? n : 1;
    }
    fputc('\n', file);
}

int terminal_label_columns(const char *label)
{
    int columns = 0;

    while (*label != '\0') {
        size_t n = terminal_character(label);

        label += n > 0 ? n : 1;
        columns++;
    }
    return columns;
}

void terminal_label(const struct terminal *terminal, char text[TERMINAL_LABEL_BYTES], const char *label, int columns)
{
    size_t at = 0;

    for (int column = 0; column < columns && at + 5 < TERMINAL_LABEL_BYTES; column++) {
        size_t n = *label == '\0' ? 0 : terminal_character(label);

        if (*label == '\0') {
            text[at++] = ' ';
        } else if (n == 1 || (n > 1 && terminal->utf8)) {
            memcpy(text + at, label, n);
            at += n;
        } else {
            text[at++] = '?';
        }
        label += *label == '\0' ? 0 : n > 0 ? n : 1;
    }
    text[at] = '\0';
}

void terminal_bar(const struct terminal *terminal, char text[TERMINAL_BAR_BYTES], double share, int columns)
{
    static const char eighths[8][4] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int n = share > 0.0 ? (int)((share < 1.0 ? share : 1.0) * columns * 8 + 0.5) : 0, column = 0;
    char *at = text;

    if (!terminal->utf8)
        n = (n + 4) / 8 * 8;
    for (; column < n / 8; column++)
        at = stpcpy(at, terminal->utf8 ? "█" : "#");
    if (n % 8 != 0) {
        at = stpcpy(at, eighths[n % 8]);
        column++;
    }
    for (; column < columns; column++)
        at = stpcpy(at, " ");
}
