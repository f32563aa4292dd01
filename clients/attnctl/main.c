/* SPDX-License-Identifier: MIT */
/* attnctl: which command is meant. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attnctl/arguments.h"
#include "attnctl/command.h"
#include "attnctl/complain.h"
#include "attnctl/ending.h"
#include "attnctl/interrupt.h"
#include "attnctl/settings.h"

/* libc looks for it by name, which -fvisibility=hidden would keep from it. */
__attribute__((visibility("default"))) const char *argp_program_version = "attnctl " PACKAGE_VERSION;

static const struct command commands[] = {
    {"stream", "audio or features in, scores out, frame by frame", stream_run},
    {"attend", "raw attention: q, k and v in, outputs out", attend_run},
    {"bench", "measure a daemon under load", bench_run},
    {"features", "audio to the features that a model takes", features_run},
    {"ping", "ask whether the daemon answers", look_ping},
    {"models", "list the models that the daemon serves", look_models},
    {"streams", "list the open streams", look_streams},
    {"info", "show one stream", look_info},
    {"stats", "show the daemon's counters", look_stats},
    {"metrics", "print the counters for Prometheus", metrics_run},
    {"top", "show live who takes what", top_run},
    {"reset", "empty the state of a stream", look_reset},
    {"close", "end a stream", look_close},
    {"kill", "end a stream of anybody's", look_kill},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Edit distance of two words, for the one that was meant. */
static size_t distance(const char *a, const char *b)
{
    size_t row[32], n = strlen(b);
    if (n >= 32)
        return n;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t best = corner + (a[i] != b[j - 1]);
            best = best < row[j] + 1 ? best : row[j] + 1;
            best = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
            corner = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

static int complain_unknown(const char *name)
{
    const struct command *nearest = &commands[0];
    for (size_t i = 1; i < N_COMMANDS; i++)
        if (distance(name, commands[i].name) < distance(name, nearest->name))
            nearest = &commands[i];
    if (distance(name, nearest->name) <= 2)
        return complain(EXIT_USAGE, "there is no command '%s'; do you mean '%s'?", name, nearest->name);
    return complain(EXIT_USAGE, "there is no command '%s'; 'attnctl --help' lists them", name);
}

/* The list of commands, as the end of --help. */
static char *show_commands(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    char *list = NULL;
    size_t n_bytes;
    FILE *memory = open_memstream(&list, &n_bytes);
    if (!memory)
        return NULL;
    fputs("Commands:\n", memory);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(memory, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n'attnctl COMMAND --help' tells more of each.", memory);
    fclose(memory);
    return list;
}

/* What main has found out: the settings given before the command, and where the command stands. */
struct invocation {
    struct settings settings;
    int at;
};

static error_t parse_main(int key, char *argument, struct argp_state *state)
{
    struct invocation *invocation = state->input;
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &invocation->settings;
        return 0;
    case ARGP_KEY_ARG:
        invocation->at = state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A socket that took the number of a closed standard output would be sent the data. Read-only, so that writing fails.
 */
static void keep_standard_descriptors(void)
{
    int descriptor;
    do
        descriptor = open("/dev/null", O_RDONLY);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0)
        close(descriptor);
}

int main(int argc, char **argv)
{
    static const struct argp_child children[] = {{&settings_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .parser = parse_main,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = "Works with attnd, the streaming inference daemon: data on standard output, everything else on standard "
               "error.\v",
        .children = children,
        .help_filter = show_commands,
    };
    struct invocation invocation = {0};
    static char own_name[] = "attnctl";
    keep_standard_descriptors();
    ending_start();
    if (argc > 0)
        argv[0] = own_name; /* whatever it was called by, which its complaints repeat */
    argp_err_exit_status = EXIT_USAGE;
    arguments_parse(&argp, argc, argv, ARGP_IN_ORDER, &invocation);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[invocation.at], commands[i].name) != 0)
            continue;
        char name[32];
        snprintf(name, sizeof(name), "attnctl %s", commands[i].name);
        argv[invocation.at] = name;
        return interrupt_end(commands[i].run(&invocation.settings, argc - invocation.at, argv + invocation.at));
    }
    return complain_unknown(argv[invocation.at]);
}
