/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/top_show.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "attnctl/field.h"

#define LINE_BYTES       1024
#define LEAST_LIST       4 /* rows that the streams have even where there are many shards */
#define MOST_BAR_COLUMNS 30

struct picture {
    FILE *out;
    const struct terminal *terminal;
    int rows_left, columns;
};

/* A line, cut to the screen; `style` is an escape sequence, or "". */
__attribute__((format(printf, 3, 4))) static void put_line(struct picture *picture, const char *style,
                                                           const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    int columns = 0;
    if (picture->rows_left-- <= 0)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    terminal_make_safe(line); /* what the daemon said of itself, too */
    char *end = line;
    for (; *end != '\0' && columns < picture->columns; columns++)
        do
            end++;
        while ((*end & 0xC0) == 0x80); /* the rest of a character */
    *end = '\0';
    bool is_styled = style[0] != '\0' && picture->terminal->escapes;
    fprintf(picture->out, "%s%s%s\n", is_styled ? style : "", line, is_styled ? "\033[0m" : "");
}

static const char *duration(char text[32], long long seconds)
{
    seconds = seconds > 0 ? seconds : 0;
    if (seconds >= 86400)
        snprintf(text, 32, "%lld d %lld h", seconds / 86400, seconds / 3600 % 24);
    else
        snprintf(text, 32, "%lld:%02lld:%02lld", seconds / 3600, seconds / 60 % 60, seconds % 60);
    return text;
}

static void show_totals(struct picture *picture, const json_t *difference)
{
    const json_t *lag = json_object_get(difference, "lag_us");
    char up[32];
    put_line(picture, "\033[1m",
             "attnd %s   up %s   %lld streams (%lld parked)   %lld connections   %.1f MiB of states",
             field_text(difference, "version", "?"), duration(up, field_number(difference, "uptime_s")),
             field_number(difference, "streams"), field_number(difference, "parked"),
             field_number(difference, "connections"), field_real(difference, "state_bytes") / (1 << 20));
    put_line(picture, "",
             "%.0f frames/s   lag p50 %.2f ms  p99 %.2f ms  p99.9 %.2f ms   %lld wait   %lld dropped  %lld skipped  "
             "%lld late  %lld refused",
             field_real(difference, "frames_per_s"), field_real(lag, "p50") / 1000, field_real(lag, "p99") / 1000,
             field_real(lag, "p999") / 1000, field_number(difference, "queue"), field_number(difference, "dropped"),
             field_number(difference, "skipped"), field_number(difference, "missed"),
             field_number(difference, "refused"));
}

static void show_shard(struct picture *picture, const json_t *shard)
{
    char bar[TERMINAL_BAR_BYTES];
    int columns = picture->columns - 74;
    columns = columns > MOST_BAR_COLUMNS ? MOST_BAR_COLUMNS : columns < 6 ? 6 : columns;
    double share = field_real(shard, "utilisation");
    terminal_bar(picture->terminal, bar, share, columns);
    put_line(picture, "", "shard %-3lld [%s] %3.0f %%  %6.0f frames/s  %4lld wait, %7.2f ms  %5lld streams",
             field_number(shard, "shard"), bar, 100 * share, field_real(shard, "frames_per_s"),
             field_number(shard, "queue"), field_real(shard, "oldest_wait_us") / 1000, field_number(shard, "streams"));
}

/* All, or as many as leave room for streams. */
static void show_shards(struct picture *picture, const json_t *difference)
{
    const json_t *shards = json_object_get(difference, "shards");
    size_t n = json_array_size(shards), i;
    json_t *shard;
    int room = picture->rows_left - LEAST_LIST;
    size_t n_shown = room < 1 ? 0 : n <= (size_t)room ? n : (size_t)room - 1;
    json_array_foreach(shards, i, shard)
    {
        if (i < n_shown)
            show_shard(picture, shard);
    }
    if (n_shown < n)
        put_line(picture, "", "... and %zu more shards", n - n_shown);
}

/* The text at a key, made safe and as wide as asked. */
static const char *label(const struct picture *picture, char text[TERMINAL_LABEL_BYTES], const json_t *stream,
                         const char *key, const char *otherwise, int columns)
{
    terminal_label(picture->terminal, text, field_text(stream, key, otherwise), columns);
    return text;
}

static void show_stream(struct picture *picture, const json_t *stream, int name_columns)
{
    char name[TERMINAL_LABEL_BYTES], model[TERMINAL_LABEL_BYTES];
    put_line(picture, "", "%8lld %s %s %5lld %6.1f %9.1f %9.2f %5lld %6lld%s", field_number(stream, "stream"),
             label(picture, name, stream, "name", "-", name_columns),
             label(picture, model, stream, "model", "attention", 12), field_number(stream, "uid"),
             100 * field_real(stream, "cpu"), field_real(stream, "frames_per_s"), field_real(stream, "lag_us") / 1000,
             field_number(stream, "queue"),
             field_sum(field_sum(field_number(stream, "dropped"), field_number(stream, "skipped")),
                       field_number(stream, "missed")),
             json_is_true(json_object_get(stream, "parked")) ? " parked" : "");
}

void top_show(FILE *out, const struct terminal *terminal, const json_t *difference, enum top_order order, int rows,
              int columns)
{
    struct picture picture = {.out = out, .terminal = terminal, .rows_left = rows - 1, .columns = columns};
    char name[TERMINAL_LABEL_BYTES];
    size_t i;
    json_t *stream;
    int name_columns = columns - 76;
    name_columns = name_columns < 8 ? 8 : name_columns > 32 ? 32 : name_columns;
    show_totals(&picture, difference);
    show_shards(&picture, difference);
    terminal_label(terminal, name, "NAME", name_columns);
    put_line(&picture, "\033[7m", "%8s %s %-12s %5s %6s %9s %9s %5s %6s       ", "STREAM", name, "MODEL", "USER",
             "CPU %", "FRAMES/S", "LAG MS", "WAIT", "LATE");
    json_array_foreach(json_object_get(difference, "top"), i, stream) show_stream(&picture, stream, name_columns);
    picture.rows_left = 1;
    put_line(&picture, "\033[2m", "by %s; c cpu  l lag  d late  u queue  n name  q quit", top_order_word(order));
}
