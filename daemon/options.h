/* SPDX-License-Identifier: MIT */
/* The command line: attnd(8). It puts what was given into the configuration and knows nothing of its meaning. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/config.h"

#define OPTIONS_MOST_SETTINGS 64

struct options {
    bool check;    /* --check: print the effective configuration and end */
    pid_t reload;  /* --reload PID: where the configuration is right, have that process read it again, and end; 0: no */
    int until_eof; /* --until-eof FD: end gracefully when this descriptor reads end of file; -1: none */
    const char *file; /* --config; NULL: the default one, where it exists */
    struct option_setting {
        enum config_key key;
        const char *value, *option;
    } settings[OPTIONS_MOST_SETTINGS]; /* what the others set; the texts are the command line's */
    size_t n_settings;
};

/* Reads the command line. Prints help, version and mistakes itself. 0, or the exit status + 1 with which the program
 * has to end now. */
int options_read(struct options *options, int argc, char **argv);

/* The configuration that they ask for: the defaults, then the files, then the options, which win. 0, or the exit status
 * + 1 of a program that cannot go on, and every mistake as a line on `complaints`. */
int options_configure(const struct options *options, struct config *config, FILE *complaints);
