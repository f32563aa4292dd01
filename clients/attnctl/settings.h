/* SPDX-License-Identifier: MIT */
/* The options of attnctl itself, taken before the command and after it. The module knows no command. */
#pragma once

#include <argp.h>
#include <stdbool.h>

struct settings {
    const char *socket; /* NULL: $ATTND_SOCKET, or the usual one */
    bool json;
};

/* Parses --socket and --json into the struct settings given as its input; a child of each command's parser, as the
 * first. */
extern const struct argp settings_argp;
