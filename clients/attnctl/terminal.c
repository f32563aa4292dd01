/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/terminal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

/* Bytes of the UTF-8 character at `text`, or 0 where it is none that may be printed. */
static size_t character_bytes(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    size_t n = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;

    if (first < 0x20 || first == 0x7F || (first == 0xC2 && (unsigned char)text[1] < 0xA0))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    }
    return n;
}

void terminal_make_safe(char *text)
{
    while (*text != '\0') {
        size_t n = character_bytes(text);

        if (n == 0)
            *text = *text == '\n' || *text == '\t' ? ' ' : '?';
        text += n > 0 ? n : 1;
    }
}

int terminal_label_columns(const char *label)
{
    int columns = 0;

    while (*label != '\0') {
        size_t n = character_bytes(label);

        label += n > 0 ? n : 1;
        columns++;
    }
    return columns;
}

void terminal_label(const struct terminal *terminal, char text[TERMINAL_LABEL_BYTES], const char *label, int columns)
{
    size_t at = 0;

    for (int column = 0; column < columns && at + 5 < TERMINAL_LABEL_BYTES; column++) {
        size_t n = *label == '\0' ? 0 : character_bytes(label);

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
