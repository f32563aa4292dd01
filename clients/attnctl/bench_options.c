/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/bench_options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attnctl/arguments.h"

#define MOST_STREAMS     (1u << 20)
#define MOST_CONNECTIONS 10000

enum {
    OPTION_STREAMS = 256,
    OPTION_CONNECTIONS,
    OPTION_RATE,
    OPTION_SECONDS,
    OPTION_CLOSED_LOOP,
    OPTION_FIND_CAPACITY,
    OPTION_P99,
    OPTION_ECHO,
    OPTION_SEED,
    OPTION_ADMIT,
    OPTION_DEADLINE,
    OPTION_LATE,
    OPTION_METHOD,
    OPTION_WINDOW,
    OPTION_LANDMARKS,
    OPTION_HEADS,
    OPTION_HEAD_DIM,
    OPTION_REFRESH
};

static uint64_t parse_count(const struct argp_state *state, const char *name, const char *text, uint64_t least,
                            uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || number < least || number > most)
        argp_error(state, "--%s is a number from %llu to %llu, not '%s'", name, (unsigned long long)least,
                   (unsigned long long)most, text);
    return number;
}

static double parse_amount(const struct argp_state *state, const char *name, const char *text, double most)
{
    char *end;
    double number = strtod(text, &end);
    if (*end || end == text || !isfinite(number) || number <= 0 || number > most)
        argp_error(state, "--%s is a number above 0 and at most %g, not '%s'", name, most, text);
    return number;
}

static const char *parse_word(const struct argp_state *state, const char *name, const char *text,
                              const char *const words[], const char *listed)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return *words;
    argp_error(state, "--%s is %s, not '%s'", name, listed, text);
    return NULL;
}

static void check_kinds(const struct bench_options *options, struct argp_state *state)
{
    if (options->find_capacity && !options->p99_ms)
        argp_error(state, "--find-capacity needs --p99, the milliseconds that 99 %% of the frames have to be within");
    if (options->p99_ms && !options->find_capacity)
        argp_error(state, "--p99 is what --find-capacity searches by: give both, or neither");
    if (options->closed_loop && options->rate)
        argp_error(state, "--rate contradicts --closed-loop, where each frame waits for the answer to the one before");
    if (options->echo && options->rate)
        argp_error(state, "--rate contradicts --echo, which compares closed loops");
    if (options->find_capacity && (options->closed_loop || options->echo))
        argp_error(state, "--find-capacity contradicts %s", options->echo ? "--echo" : "--closed-loop");
    if (options->admit && (options->closed_loop || options->echo))
        argp_error(state, "--admit tells the daemon the rate, and %s has none",
                   options->echo ? "--echo" : "--closed-loop");
    if (options->late && strcmp(options->late, "block") != 0 && !options->deadline_ms)
        argp_error(state, "--late %s needs --deadline: when is a frame late?", options->late);
}

static void check(const struct bench_options *options, struct argp_state *state)
{
    const struct attnc_attention *attention = &options->attention;
    bool any = attention->method || attention->window || attention->landmarks || attention->heads ||
               attention->head_dim || attention->refresh;
    check_kinds(options, state);
    if (any && options->model)
        argp_error(state, "a model and an attention contradict each other: give -m, or --window and the sizes");
    if (any && (!attention->window || !attention->heads || !attention->head_dim))
        argp_error(state, "an attention needs --window, --heads and --head-dim");
    if (attention->method && strcmp(attention->method, "nystrom") == 0 && !attention->landmarks)
        argp_error(state, "--method nystrom needs --landmarks");
    if (attention->method && strcmp(attention->method, "exact") == 0 && attention->landmarks)
        argp_error(state, "--method exact has no --landmarks");
    uint32_t streams = options->streams ? options->streams : 1;
    if (!options->find_capacity && options->connections > streams)
        argp_error(state, "%u connections are more than there are streams: %u", options->connections, streams);
}

static error_t parse_attention(int key, const char *argument, const struct argp_state *state,
                               struct attnc_attention *attention)
{
    static const char *const methods[] = {"exact", "nystrom", NULL}, *const refreshes[] = {"immediate", "spread", NULL};
    switch (key) {
    case OPTION_METHOD:
        attention->method = parse_word(state, "method", argument, methods, "exact or nystrom");
        return 0;
    case OPTION_WINDOW:
        attention->window = parse_count(state, "window", argument, 1, UINT32_MAX);
        return 0;
    case OPTION_LANDMARKS:
        attention->landmarks = parse_count(state, "landmarks", argument, 1, UINT32_MAX);
        return 0;
    case OPTION_HEADS:
        attention->heads = parse_count(state, "heads", argument, 1, UINT32_MAX);
        return 0;
    case OPTION_HEAD_DIM:
        attention->head_dim = parse_count(state, "head-dim", argument, 1, UINT32_MAX);
        return 0;
    case OPTION_REFRESH:
        attention->refresh = parse_word(state, "refresh", argument, refreshes, "immediate or spread");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_value(int key, const char *argument, const struct argp_state *state, struct bench_options *options)
{
    static const char *const lates[] = {"block", "drop-oldest", "skip-output", NULL};
    switch (key) {
    case OPTION_STREAMS:
        options->streams = parse_count(state, "streams", argument, 1, MOST_STREAMS);
        return 0;
    case OPTION_CONNECTIONS:
        options->connections = parse_count(state, "connections", argument, 1, MOST_CONNECTIONS);
        return 0;
    case OPTION_RATE:
        options->rate = parse_amount(state, "rate", argument, 1e6);
        return 0;
    case OPTION_SECONDS:
        options->seconds = parse_amount(state, "seconds", argument, 86400);
        return 0;
    case OPTION_P99:
        options->p99_ms = parse_amount(state, "p99", argument, 60000);
        return 0;
    case OPTION_SEED:
        options->seed = parse_count(state, "seed", argument, 0, UINT64_MAX);
        return 0;
    case OPTION_DEADLINE:
        options->deadline_ms = parse_count(state, "deadline", argument, 1, UINT32_MAX);
        return 0;
    case OPTION_LATE:
        options->late = parse_word(state, "late", argument, lates, "block, drop-oldest or skip-output");
        return 0;
    default:
        return parse_attention(key, argument, state, &options->attention);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct bench_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->settings;
        return 0;
    case 'm':
        options->model = argument;
        return 0;
    case OPTION_CLOSED_LOOP:
        options->closed_loop = true;
        return 0;
    case OPTION_FIND_CAPACITY:
        options->find_capacity = true;
        return 0;
    case OPTION_ECHO:
        options->echo = true;
        return 0;
    case OPTION_ADMIT:
        options->admit = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "bench takes options alone, not '%s'", argument);
        return 0;
    case ARGP_KEY_END:
        check(options, state);
        return 0;
    default:
        return parse_value(key, argument, state, options);
    }
}

static const struct argp_option option_table[] = {
    {"streams", OPTION_STREAMS, "S", 0, "Streams at the same time (default: 1); with --find-capacity: tried first", 1},
    {"connections", OPTION_CONNECTIONS, "C", 0, "Connections that they share (default: see attnctl(1))", 1},
    {"rate", OPTION_RATE, "FPS", 0, "Frames a second of each stream (default: those of the model's audio, or 25)", 1},
    {"seconds", OPTION_SECONDS, "T", 0, "How long (default: 10; 5 of each trial of --find-capacity)", 1},
    {"closed-loop", OPTION_CLOSED_LOOP, NULL, 0, "Each frame leaves when the one before it has been answered", 1},
    {"echo", OPTION_ECHO, NULL, 0, "Compare with a bare echo of the same bytes, in turns", 1},
    {"find-capacity", OPTION_FIND_CAPACITY, NULL, 0, "Search for the largest number of streams within --p99", 1},
    {"p99", OPTION_P99, "MS", 0, "What 99 % of the frames have to be within, milliseconds", 1},
    {"seed", OPTION_SEED, "N", 0, "Of the frames' values (default: 1)", 1},
    {"admit", OPTION_ADMIT, NULL, 0, "Tell the daemon the rate, and do without the streams that it has no room for", 2},
    {"deadline", OPTION_DEADLINE, "MS", 0, "Milliseconds after which a frame is late", 2},
    {"late", OPTION_LATE, "HOW", 0, "block, drop-oldest or skip-output: what becomes of late frames", 2},
    {"model", 'm', "MODEL", 0,
     "The model's name; with a slash in it: that file, in a private daemon (default: 'sounds', or the only one)", 3},
    {"method", OPTION_METHOD, "METHOD", 0, "Raw attention: exact, or nystrom (default: where there are landmarks)", 3},
    {"window", OPTION_WINDOW, "N", 0, "Frames that are attended to", 3},
    {"landmarks", OPTION_LANDMARKS, "M", 0, "Landmarks", 3},
    {"heads", OPTION_HEADS, "H", 0, "Heads", 3},
    {"head-dim", OPTION_HEAD_DIM, "D", 0, "Floats of a head", 3},
    {"refresh", OPTION_REFRESH, "HOW", 0, "immediate (the default) or spread", 3},
    {0},
};

void bench_options_parse(struct bench_options *options, int argc, char **argv)
{
    static const struct argp_child children[] = {{&settings_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Measures a daemon: streams of random frames in time with a schedule, and how long the answer to each "
               "frame took, counted from the time at which it should have been sent.\v"
               "  attnctl bench --streams 64 --seconds 10\n"
               "  attnctl bench --echo --method nystrom --window 120 --landmarks 16 --heads 1 --head-dim 192\n"
               "  attnctl bench --find-capacity --p99 20 --json",
        .children = children,
    };
    options->seed = 1;
    arguments_parse(&argp, argc, argv, 0, options);
    if (options->attention.window && !options->attention.method)
        options->attention.method = options->attention.landmarks ? "nystrom" : "exact";
}
