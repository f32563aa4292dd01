/* SPDX-License-Identifier: MIT */
/* The command line: attnd(8). It puts what was given into the configuration and knows nothing of its meaning. */
#pragma once

#include <stdbool.h>

#include "daemon/config.h"

struct options {
    bool check;    /* --check: print the effective configuration and end */
    int until_eof; /* --until-eof FD: end gracefully when this descriptor reads end of file; -1: none */
};

/* Reads the command line and the configuration file it names (or the default one) into *config; options win over the
 * file. Prints help, version and mistakes itself. 0, or the exit status + 1 with which the program has to end now. */
int options_read(struct options *options, struct config *config, int argc, char **argv);
