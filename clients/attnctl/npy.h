/* SPDX-License-Identifier: MIT */
/*
 * Arrays of float32 in .npy files (versions 1 to 3, C order), a row at a time: a row is all that belongs to one index
 * of the first dimension. Nothing that a header claims is trusted or allocated for. Source: numpy.lib.format.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "attnctl/input.h"
#include "attnctl/output.h"
#include "attnctl/problem.h"

#define NPY_MOST_DIMS 8
#define NPY_UNKNOWN   UINT64_MAX

struct npy {
    int n_dims; /* 1 … NPY_MOST_DIMS */
    uint64_t shape[NPY_MOST_DIMS];
    size_t row_floats; /* product of shape[1 …], > 0 */
    uint64_t n_rows;   /* read or written so far */
    /* private */
    struct input input;
    const char *name;
    struct output output;
    long origin;        /* where the header was written */
    uint64_t n_claimed; /* rows in the header that was written, NPY_UNKNOWN: to be filled in */
};

/* Looks into a file: 1 where it is a .npy file, 0 where it is another or cannot be read, -1 where it is empty, none, or
 * no regular one. Nothing but a regular file is opened. */
int npy_is_file(const char *path);

/* Opens a file, or standard input for "-", and reads its header; `path` has to outlive the npy. 0 and the shape, or -1
 * and a problem: not a .npy file, not float32, Fortran order, damaged, or shorter than its shape. */
int npy_open(struct npy *npy, const char *path, struct problem *problem);

/* Up to n rows [n][row_floats]; waits for all of them. Returns how many (0: all were read), or -1 and a problem. */
ssize_t npy_read_rows(struct npy *npy, float *rows, size_t n, struct problem *problem);

/* Closes what npy_open opened; not again. */
void npy_close(struct npy *npy);

/* Makes a file, or writes to standard output for "-"; a file that is no .npy file is not written over. shape[0] may be
 * NPY_UNKNOWN where the output can seek: the header is then completed by npy_finish. 0, or -1 and a problem. */
int npy_create(struct npy *npy, const char *path, int n_dims, const uint64_t *shape, struct problem *problem);
int npy_write_rows(struct npy *npy, const float *rows, size_t n, struct problem *problem);

/* Writes n rows of NaN. */
int npy_write_missing(struct npy *npy, uint64_t n, struct problem *problem);

/* Completes and closes what npy_create made. -1 and a problem where the bytes did not reach the disk, or the rows are
 * not as many as the header says. */
int npy_finish(struct npy *npy, struct problem *problem);

/* Gives up what npy_create made, after an error: the file is as it was before. */
void npy_abandon(struct npy *npy);
