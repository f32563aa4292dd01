/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/table.h"

#include <stdbool.h>

#include "attnctl/terminal.h"

#define MOST_COLUMNS 16
#define CELL_BYTES   128

/* One value in a cell; what has parts is joined, or counted where it is long. */
static const char *cell(const json_t *value, char text[CELL_BYTES])
{
    size_t i, used = 0;
    json_t *item;
    text[0] = '\0';
    if (json_is_string(value))
        snprintf(text, CELL_BYTES, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(text, CELL_BYTES, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, CELL_BYTES, "%.6g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(text, CELL_BYTES, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_object(value) || json_array_size(value) > 8)
        snprintf(text, CELL_BYTES, "(%zu)", json_array_size(value) + json_object_size(value));
    else
        json_array_foreach(value, i, item)
        {
            char part[CELL_BYTES];
            if (used < CELL_BYTES)
                used += snprintf(text + used, CELL_BYTES - used, "%s%s", i ? "," : "", cell(item, part));
        }
    return text[0] ? text : "-";
}

/* Writes a text padded to `width` columns. What it says may be another user's, such as the name of a stream. */
static void put(FILE *out, const char *text, int width)
{
    char safe[CELL_BYTES];
    snprintf(safe, sizeof(safe), "%s", text);
    terminal_make_safe(safe);
    int columns = terminal_label_columns(safe);
    fprintf(out, "%s%*s", safe, columns < width ? width - columns : 0, "");
}

/* The columns: the keys of the first row that hold no objects. */
static size_t find_columns(const json_t *rows, const char *columns[MOST_COLUMNS])
{
    size_t n = 0;
    const char *key;
    json_t *value, *first = json_array_get(rows, 0);
    json_object_foreach(first, key, value) if (!json_is_object(value) && n < MOST_COLUMNS) columns[n++] = key;
    return n;
}

static void print_rows(FILE *out, const json_t *rows)
{
    char text[CELL_BYTES];
    const char *columns[MOST_COLUMNS];
    int widths[MOST_COLUMNS];
    size_t i, n = find_columns(rows, columns);
    json_t *row;
    for (size_t j = 0; j < n; j++)
        widths[j] = terminal_label_columns(columns[j]);
    json_array_foreach(rows, i, row) for (size_t j = 0; j < n; j++)
    {
        int width = terminal_label_columns(cell(json_object_get(row, columns[j]), text));
        widths[j] = width > widths[j] ? width : widths[j];
    }
    for (size_t j = 0; j < n; j++) {
        put(out, columns[j], j + 1 < n ? widths[j] : 0);
        fputs(j + 1 < n ? "  " : "\n", out);
    }
    json_array_foreach(rows, i, row) for (size_t j = 0; j < n; j++)
    {
        put(out, cell(json_object_get(row, columns[j]), text), j + 1 < n ? widths[j] : 0);
        fputs(j + 1 < n ? "  " : "\n", out);
    }
}

static void print_lines(FILE *out, const json_t *object, int indent)
{
    char text[CELL_BYTES];
    const char *key;
    json_t *value;
    int width = 0;
    json_object_foreach((json_t *)object, key, value)
    {
        int columns = terminal_label_columns(key);
        width = columns > width ? columns : width;
    }
    json_object_foreach((json_t *)object, key, value)
    {
        bool has_lines = json_is_object(value), has_rows = json_is_object(json_array_get(value, 0));
        fprintf(out, "%*s", indent, "");
        put(out, key, has_lines || has_rows ? 0 : width);
        if (!has_lines && !has_rows) {
            fputs("  ", out);
            put(out, cell(value, text), 0);
        }
        fputc('\n', out);
        if (has_lines)
            print_lines(out, value, indent + 2);
        else if (has_rows)
            print_rows(out, value);
    }
}

void table_print(FILE *out, const json_t *json, const char *empty)
{
    json_t *only = NULL;
    if (json_object_size(json) == 1)
        only = json_object_iter_value(json_object_iter((json_t *)json));
    const json_t *rows = json_is_array(only) ? only : json;
    if (json_is_array(rows) && json_array_size(rows) == 0)
        fprintf(out, "%s\n", empty);
    else if (json_is_array(rows))
        print_rows(out, rows);
    else
        print_lines(out, json, 0);
}
