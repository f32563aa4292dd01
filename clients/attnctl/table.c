/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/table.h"

#include <stdbool.h>
#include <string.h>

#include "attnctl/terminal.h"

#define MOST_COLUMNS 32
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

/* A value of the rows, or one of an object in them. */
struct column {
    const char *key, *inner; /* inner: NULL, or the key in the object at `key` */
    int width;
};

struct columns {
    struct column list[MOST_COLUMNS];
    size_t n;
};

static const json_t *value_of(const json_t *row, const struct column *column)
{
    const json_t *value = json_object_get(row, column->key);
    return column->inner ? json_object_get(value, column->inner) : value;
}

static const char *title_of(const struct column *column, char text[CELL_BYTES])
{
    snprintf(text, CELL_BYTES, "%s%s%s", column->key, column->inner ? " " : "", column->inner ? column->inner : "");
    return text;
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* At the place `at` where there is no such column yet; returns the place behind it. */
static size_t add_column(struct columns *columns, size_t at, const char *key, const char *inner)
{
    char title[CELL_BYTES];
    for (size_t i = 0; i < columns->n; i++)
        if (is_same(columns->list[i].key, key) && is_same(columns->list[i].inner, inner))
            return i + 1;
    if (columns->n == MOST_COLUMNS)
        return at;
    struct column *column = &columns->list[at];
    memmove(column + 1, column, (columns->n++ - at) * sizeof(*column));
    *column = (struct column){.key = key, .inner = inner};
    column->width = terminal_label_columns(title_of(column, title));
    return at + 1;
}

/* The keys of all rows, each behind the one that it follows; of an object in a row, its keys. */
static void find_columns(const json_t *rows, struct columns *columns)
{
    const char *key, *inner;
    json_t *row, *value, *part;
    size_t i;
    columns->n = 0;
    json_array_foreach(rows, i, row)
    {
        size_t at = 0;
        json_object_foreach(row, key, value)
        {
            if (!json_is_object(value))
                at = add_column(columns, at, key, NULL);
            else
                json_object_foreach(value, inner, part) at = add_column(columns, at, key, inner);
        }
    }
}

static void print_rows(FILE *out, const json_t *rows)
{
    char text[CELL_BYTES];
    struct columns columns;
    size_t i;
    json_t *row;
    find_columns(rows, &columns);
    json_array_foreach(rows, i, row) for (size_t j = 0; j < columns.n; j++)
    {
        struct column *column = &columns.list[j];
        int width = terminal_label_columns(cell(value_of(row, column), text));
        column->width = width > column->width ? width : column->width;
    }
    for (size_t j = 0; j < columns.n; j++) {
        put(out, title_of(&columns.list[j], text), j + 1 < columns.n ? columns.list[j].width : 0);
        fputs(j + 1 < columns.n ? "  " : "\n", out);
    }
    json_array_foreach(rows, i, row) for (size_t j = 0; j < columns.n; j++)
    {
        put(out, cell(value_of(row, &columns.list[j]), text), j + 1 < columns.n ? columns.list[j].width : 0);
        fputs(j + 1 < columns.n ? "  " : "\n", out);
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
