/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "daemon/options.h"

#include <argp.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { OPTION_CHECK = 256, OPTION_MODEL, OPTION_LOG_LEVEL, OPTION_UNTIL_EOF, OPTION_RELOAD };

/* The C library looks for it by this name, which -fvisibility=hidden would keep from it. */
__attribute__((visibility("default"))) const char *argp_program_version = "attnd " PACKAGE_VERSION;

static const struct argp_option option_table[] = {
    {"config", 'c', "FILE", 0, "Read this configuration (default: " DEFAULT_CONFIG ", where it exists)", 0},
    {"socket", 's', "PATH", 0, "Listen on this Unix socket", 0},
    {"models", 'm', "DIR", 0, "Serve the models of this directory; may be repeated; replaces the configured ones", 0},
    {"model", OPTION_MODEL, "FILE", 0, "Serve this model file; may be repeated; replaces the configured ones", 0},
    {"shards", 'n', "N", 0, "Threads that compute; 0: one a processor", 0},
    {"log-level", OPTION_LOG_LEVEL, "LEVEL", 0, "error, warning, info or debug", 0},
    {"until-eof", OPTION_UNTIL_EOF, "FD", 0,
     "End gracefully when descriptor FD reads end of file: for a daemon that its client "
     "starts and that must not outlive it",
     0},
    {"check", OPTION_CHECK, NULL, 0, "Check the configuration and the models, print the effective one, and end", 0},
    {"reload", OPTION_RELOAD, "PID", 0,
     "Check them, and where there is no mistake have the attnd of process PID read them again", 0},
    {0},
};

static void remember(struct argp_state *state, enum config_key key, const char *value, const char *option)
{
    struct options *options = state->input;
    if (options->n_settings == OPTIONS_MOST_SETTINGS)
        argp_error(state, "more than %d options", OPTIONS_MOST_SETTINGS);
    options->settings[options->n_settings++] = (struct option_setting){key, value, option};
}

static void parse_reload(struct argp_state *state, const char *argument)
{
    struct options *options = state->input;
    char *end;
    long pid = strtol(argument, &end, 10);
    if (*argument < '1' || *argument > '9' || *end != '\0' || pid > INT_MAX)
        argp_error(state, "--reload %s: this is no process's number", argument);
    options->reload = (pid_t)pid;
}

static void parse_until_eof(struct argp_state *state, const char *argument)
{
    struct options *options = state->input;
    char *end;
    long fd = strtol(argument, &end, 10);
    if (*argument == '\0' || *end != '\0' || fd < 0 || fd > 1 << 20 || fcntl((int)fd, F_GETFD) < 0)
        argp_error(state, "--until-eof %s: this is no open descriptor", argument);
    options->until_eof = (int)fd;
}

static error_t parse_option(int option, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (option) {
    case 'c':
        options->file = argument;
        return 0;
    case 's':
        remember(state, CONFIG_listen_socket, argument, "--socket");
        return 0;
    case 'm':
        remember(state, CONFIG_models_directories, argument, "--models");
        return 0;
    case OPTION_MODEL:
        remember(state, CONFIG_models_files, argument, "--model");
        return 0;
    case 'n':
        remember(state, CONFIG_daemon_shards, argument, "--shards");
        return 0;
    case OPTION_LOG_LEVEL:
        remember(state, CONFIG_daemon_log_level, argument, "--log-level");
        return 0;
    case OPTION_UNTIL_EOF:
        parse_until_eof(state, argument);
        return 0;
    case OPTION_CHECK:
        options->check = true;
        return 0;
    case OPTION_RELOAD:
        parse_reload(state, argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int options_read(struct options *options, int argc, char **argv)
{
    static const struct argp parser = {option_table,
                                       parse_option,
                                       NULL,
                                       "attnd -- keeps the state of continual-attention models for live streams, and "
                                       "answers each frame with its output",
                                       NULL,
                                       NULL,
                                       NULL};
    *options = (struct options){.until_eof = -1};
    argp_err_exit_status = EX_USAGE;
    return argp_parse(&parser, argc, argv, 0, NULL, options) != 0 ? EX_USAGE + 1 : 0;
}

/* After the files were read, so that options win wherever they stand. */
static int apply(const struct options *options, struct config *config, FILE *complaints)
{
    bool given[CONFIG_N_KEYS] = {false};
    for (size_t i = 0; i < options->n_settings; i++) {
        const struct option_setting *setting = &options->settings[i];
        char why[ATTNP_ERROR_TEXT + 1];
        if (config_set_item(config, setting->key, setting->value, setting->option, given[setting->key], why) != 0) {
            fprintf(complaints, "attnd: %s: %s\n", setting->option, why);
            return EX_USAGE + 1;
        }
        given[setting->key] = true;
    }
    return 0;
}

int options_configure(const struct options *options, struct config *config, FILE *complaints)
{
    const char *file = options->file != NULL ? options->file : DEFAULT_CONFIG;
    config_init(config);
    if (config_read(config, file, options->file != NULL, complaints) != 0)
        return EX_CONFIG + 1;
    return apply(options, config, complaints);
}
