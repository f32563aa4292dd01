/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/settings.h"

enum { OPTION_SOCKET = 256, OPTION_JSON };

static error_t parse_setting(int key, char *argument, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case OPTION_SOCKET:
        settings->socket = argument;
        return 0;
    case OPTION_JSON:
        settings->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option setting_options[] = {
    {"socket", OPTION_SOCKET, "PATH", 0, "The daemon's socket (default: $ATTND_SOCKET, or /run/attnd/attnd.sock)", 10},
    {"json", OPTION_JSON, NULL, 0, "JSON, also on a terminal", 10},
    {0},
};

const struct argp settings_argp = {.options = setting_options, .parser = parse_setting};
