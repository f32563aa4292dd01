/* SPDX-License-Identifier: MIT */
/* The command line, through argp, whose complaints repeat what was given: they reach the terminal as safe as all other
 * text. The module knows no option. */
#pragma once

#include <argp.h>

/* argp_parse, which ends the process where the arguments are wrong. */
void arguments_parse(const struct argp *argp, int argc, char **argv, unsigned flags, void *input);
