/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a file, a pipe or standard input, handed on as they arrive, with a look ahead. It knows nothing of formats.
 * stdio would wait for a full buffer where a live source has sent a few samples, so that this reads the descriptor
 * itself. A wait on a pipe ends, as a failure, where an interruption is noted (interrupt.h).
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "attnctl/problem.h"

#define INPUT_MOST_PEEK 64

struct input {
    int fd;
    const char *name;    /* for messages: the path, or "standard input" */
    int64_t size;        /* bytes of a regular file from where it began, -1 of a pipe, which never rewinds */
    int64_t origin;      /* where a regular file began: standard input may stand anywhere in one */
    size_t n_peeked, at; /* bytes looked at, and how many of them were read since */
    uint8_t peeked[INPUT_MOST_PEEK];
};

/* Opens a file by its path, or standard input for "-". `path` has to outlive the input. 0, or -1 and a problem. */
int input_open(struct input *input, const char *path, struct problem *problem);
void input_close(struct input *input);

/* Waits until n ≤ INPUT_MOST_PEEK bytes are there or the input ends, and returns how many of the n are; *bytes shows
 * them, until the next call, and they are still to be read. -1 and a problem where reading fails. */
ssize_t input_peek(struct input *input, size_t n, const uint8_t **bytes, struct problem *problem);

/* Reads up to n bytes: waits for the first one only. 0 at the end, -1 and a problem where reading fails. */
ssize_t input_read(struct input *input, void *bytes, size_t n, struct problem *problem);

/* Reads n bytes, fewer only at the end; `bytes` NULL: skips them. Returns how many, or -1 and a problem. */
int64_t input_read_all(struct input *input, void *bytes, uint64_t n, struct problem *problem);

/* Back to the first byte of a regular file; -1 for anything else. */
int input_rewind(struct input *input);

/* "a file", "a directory", "a FIFO" and so on. */
const char *input_kind(mode_t mode);

/* -1 and a problem where there is no regular file that may be read. */
int input_check_file(const char *path, struct problem *problem);

/* -1 and a problem where the output is the very file that the input is. */
int input_check_output(const char *path, const char *out_path, struct problem *problem);
