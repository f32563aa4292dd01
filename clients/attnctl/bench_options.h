/* SPDX-License-Identifier: MIT */
/* The command line of bench: what may be given, and what contradicts what. */
#pragma once

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "attnc/client.h"
#include "attnctl/settings.h"

struct bench_options {
    struct settings *settings;
    uint32_t streams, connections; /* 0: not given */
    double rate;                   /* frames a second of each stream; 0: not given */
    double seconds;                /* 0: not given */
    bool closed_loop, find_capacity, echo, admit;
    double p99_ms; /* 0: not given */
    uint64_t seed;
    uint32_t deadline_ms; /* 0: none */
    const char *late;
    const char *model;
    struct attnc_attention attention; /* window 0: none */
};

/* Fills in *options, whose settings have to be set; ends the process where the command line is wrong. */
void bench_options_parse(struct bench_options *options, int argc, char **argv);
