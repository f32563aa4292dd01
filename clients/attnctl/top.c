/* SPDX-License-Identifier: MIT */
/*
 * attnctl top: looks at the daemon again and again and shows the difference. On a terminal it draws one picture over
 * the other; elsewhere it writes an object of JSON a look, the same that the picture is made of.
 */
#include "config.h"

#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attnctl/arguments.h"
#include "attnctl/command.h"
#include "attnctl/complain.h"
#include "attnctl/interrupt.h"
#include "attnctl/ndjson.h"
#include "attnctl/screen.h"
#include "attnctl/session.h"
#include "attnctl/settings.h"
#include "attnctl/top_sample.h"
#include "attnctl/top_show.h"

#define FIRST_INTERVAL_S  0.25 /* the first picture is not to be waited for */
#define MOST_JSON_STREAMS 20

struct top {
    struct settings *settings;
    struct session session;
    struct terminal terminal;
    double interval_s;
    unsigned long count, n_streams; /* count 0: until somebody ends it */
    enum top_order order;
    struct top_sample before, now;
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static unsigned long parse_count(struct argp_state *state, const char *what, const char *argument)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(argument, &end, 10);
    if (errno != 0 || *end != '\0' || end == argument || argument[0] == '-' || value == 0)
        argp_error(state, "%s: '%s' is no number from 1 on", what, argument);
    return value;
}

static double parse_interval(struct argp_state *state, const char *argument)
{
    char *end;
    double value = strtod(argument, &end);
    if (*end != '\0' || end == argument || !(value >= 0.05 && value <= 3600))
        argp_error(state, "--interval: '%s' is no number of seconds from 0.05 to 3600", argument);
    return value;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct top *top = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = top->settings;
        return 0;
    case 'i':
        top->interval_s = parse_interval(state, argument);
        return 0;
    case 'c':
        top->count = parse_count(state, "--count", argument);
        return 0;
    case 'n':
        top->n_streams = parse_count(state, "--streams", argument);
        return 0;
    case 's':
        if (top_order_of(argument) < 0)
            argp_error(state, "--sort: '%s' is none of cpu, lag, late, queue, name", argument);
        top->order = (enum top_order)top_order_of(argument);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "top takes no argument");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static enum exit_code look(struct top *top)
{
    struct problem problem;
    if (top_sample_take(&top->now, top->session.client, &problem) == 0)
        return EXIT_DONE;
    screen_close();
    return complain(EXIT_DATA, "%s", problem.text);
}

static void step(struct top *top)
{
    top_sample_done(&top->before);
    top->before = top->now;
    top->now = (struct top_sample){0};
}

static void draw(const struct top *top)
{
    char *text = NULL;
    size_t n_text = 0;
    int rows, columns;
    FILE *memory = open_memstream(&text, &n_text);
    if (!memory)
        return;
    screen_size(&rows, &columns);
    json_t *difference = top_difference(&top->before, &top->now, top->order, (size_t)rows);
    top_show(memory, &top->terminal, difference, top->order, rows, columns);
    json_decref(difference);
    if (fclose(memory) == 0)
        screen_draw(text, n_text);
    free(text);
}

/* What a key asks for. False: the end. */
static bool obey(struct top *top, int key)
{
    static const char keys[] = {'c', 'l', 'd', 'u', 'n'}; /* in the order of enum top_order */
    const char *found = key > 0 ? memchr(keys, key, sizeof(keys)) : NULL;
    if (found)
        top->order = (enum top_order)(found - keys);
    return key >= 0 && key != 'q' && key != 'Q';
}

/* Waits for the next look, drawing anew after each key and each change of the window. False: the end. */
static bool wait_on_screen(struct top *top, double seconds)
{
    double until_s = seconds_now() + seconds;
    bool has_picture = top->before.stats != NULL;
    for (double left_s = seconds; left_s > 0; left_s = until_s - seconds_now()) {
        if (!obey(top, screen_key((int)(left_s * 1000) + 1)))
            return false;
        if (has_picture)
            draw(top);
    }
    return true;
}

static enum exit_code run_on_screen(struct top *top)
{
    double wait_s = top->interval_s < FIRST_INTERVAL_S ? top->interval_s : FIRST_INTERVAL_S;
    unsigned long n_drawn = 0;
    enum exit_code code = look(top);
    if (code == EXIT_DONE && screen_open() != 0)
        code = complain(EXIT_USAGE, "standard input is no terminal; use --json");
    while (code == EXIT_DONE && wait_on_screen(top, wait_s)) {
        if (top->count != 0 && n_drawn == top->count)
            break;
        step(top);
        if ((code = look(top)) != EXIT_DONE)
            break;
        draw(top);
        n_drawn++;
        wait_s = top->interval_s;
    }
    screen_close();
    return code;
}

/* False: interrupted. */
static bool wait_for(double seconds)
{
    struct pollfd interruption = {.fd = interrupt_descriptor(), .events = POLLIN};
    poll(&interruption, 1, (int)(seconds * 1000));
    return !interrupted();
}

static enum exit_code run_as_json(struct top *top)
{
    enum exit_code code = look(top);
    double next_s = seconds_now();
    interrupt_start();
    for (unsigned long i = 0; code == EXIT_DONE && (top->count == 0 || i < top->count); i++) {
        next_s += top->interval_s;
        double left_s = next_s - seconds_now();
        if (!wait_for(left_s > 0 ? left_s : 0))
            return EXIT_INTERRUPTED;
        step(top);
        if ((code = look(top)) != EXIT_DONE)
            break;
        json_t *difference = top_difference(&top->before, &top->now, top->order, top->n_streams);
        if (ndjson_write_compact(stdout, difference) < 0)
            return complain(EXIT_DATA, "standard output cannot be written: %s", strerror(errno));
    }
    return code;
}

int top_run(struct settings *settings, int argc, char **argv)
{
    static const struct argp_child children[] = {{&settings_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"interval", 'i', "S", 0, "Seconds from look to look (default: 1)", 0},
        {"count", 'c', "N", 0, "End after so many looks", 0},
        {"sort", 's', "KEY", 0, "Streams by cpu (the default), lag, late, queue or name", 0},
        {"streams", 'n', "N", 0, "Streams in a line of JSON (default: 20)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Shows live what the daemon does and which streams take most.",
        .children = children,
    };
    struct top top = {.settings = settings, .interval_s = 1, .n_streams = MOST_JSON_STREAMS};
    arguments_parse(&argp, argc, argv, 0, &top);
    top.terminal = terminal_of(stdout);
    enum exit_code code = session_open(&top.session, settings, NULL, SESSION_LISTENING);
    if (code != EXIT_DONE)
        return code;
    code = settings->json || !top.terminal.escapes ? run_as_json(&top) : run_on_screen(&top);
    top_sample_done(&top.before);
    top_sample_done(&top.now);
    session_close(&top.session);
    return code;
}
