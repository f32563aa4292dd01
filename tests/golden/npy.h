/* SPDX-License-Identifier: MIT */
/* Reads the .npy files that numpy writes: little-endian float32 or float64, C order, one or two dimensions. */
#pragma once

#include <stddef.h>

struct npy {
    size_t rows, columns;
    double *values; /* [rows][columns] */
};

/* Reads a whole file; free values afterwards. Returns 0, or −1 when it is not such a file. */
int npy_read(struct npy *npy, const char *path);
