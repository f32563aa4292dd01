/* SPDX-License-Identifier: MIT */
/* What attnctl's commands share: the table's row, the options that all of them take, and the exit codes. */
#pragma once

#include <argp.h>
#include <stdbool.h>

enum exit_code {
    EXIT_DONE = 0,
    EXIT_DATA = 1, /* the data was wrong, or the daemon refused */
    EXIT_USAGE = 2,
    EXIT_REACH = 3,        /* the daemon cannot be reached, or may not be */
    EXIT_INTERRUPTED = 130 /* what was there until the interruption has been answered */
};

/* Options of attnctl itself, taken before the command and after it. */
struct settings {
    const char *socket; /* NULL: $ATTND_SOCKET, or the usual one */
    bool json;
};

/* A command: argv[0] is "attnctl NAME". Returns an exit code. */
struct command {
    const char *name;
    const char *summary;
    int (*run)(struct settings *settings, int argc, char **argv);
};

/* Parses --socket and --json into the struct settings given as its input; a child of each command's parser, as the
 * first. */
extern const struct argp settings_argp;

int attend_run(struct settings *settings, int argc, char **argv);
int bench_run(struct settings *settings, int argc, char **argv);
int features_run(struct settings *settings, int argc, char **argv);
int metrics_run(struct settings *settings, int argc, char **argv);
int top_run(struct settings *settings, int argc, char **argv);
int stream_run(struct settings *settings, int argc, char **argv);

/* The commands that ask one thing and show the answer. */
int look_ping(struct settings *settings, int argc, char **argv);
int look_models(struct settings *settings, int argc, char **argv);
int look_streams(struct settings *settings, int argc, char **argv);
int look_info(struct settings *settings, int argc, char **argv);
int look_stats(struct settings *settings, int argc, char **argv);
int look_reset(struct settings *settings, int argc, char **argv);
int look_close(struct settings *settings, int argc, char **argv);
int look_kill(struct settings *settings, int argc, char **argv);

/* "attnctl: " and a sentence on standard error; returns `code`, so that one can say `return complain(...)`. */
__attribute__((format(printf, 2, 3))) int complain(enum exit_code code, const char *format, ...);
