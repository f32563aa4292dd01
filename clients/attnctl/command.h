/* SPDX-License-Identifier: MIT */
/* The commands of attnctl: a row of main's table, and the function of each. */
#pragma once

struct settings;

/* A command: argv[0] is "attnctl NAME". Returns an exit code. */
struct command {
    const char *name;
    const char *summary;
    int (*run)(struct settings *settings, int argc, char **argv);
};

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
