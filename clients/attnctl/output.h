/* SPDX-License-Identifier: MIT */
/*
 * A file that is written. A regular file is written beside its place and renamed into it when it is whole: a reader
 * finds the old one or the new one, and a process that ends leaves no part of one. Pipes and character devices are
 * written as they are. The module knows no format.
 */
#pragma once

#include <stdio.h>

#include "attnctl/problem.h"

struct output {
    FILE *file;
    const char *name; /* for messages: the path, or "standard output" */
    /* private */
    char *path, *new_path; /* its place, and the name until it is whole; NULL: it is written in its place */
};

/* Opens an output by its path, or standard output for "-"; `path` and `output` have to stay where they are until it is
 * finished or abandoned. Waiting for the reader of a FIFO ends with an interruption. 0, or -1 and a problem. */
int output_open(struct output *output, const char *path, struct problem *problem);

/* Completes the output. 0, or -1 and a problem where the bytes did not reach the file; then it is as it was before. */
int output_finish(struct output *output, struct problem *problem);

/* Gives the output up: a regular file is as it was before. Not after output_finish. */
void output_abandon(struct output *output);
