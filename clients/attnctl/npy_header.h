/* SPDX-License-Identifier: MIT */
/* The text in the head of a .npy file: a Python dictionary with the keys descr, fortran_order and shape, in any order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "attnctl/npy.h"

/* Reads `text`, which ends with a NUL, into n_dims, shape and row_floats. -1 and a problem. */
int npy_header_parse(struct npy *npy, const char *text, struct problem *problem);

/* Writes magic, version and text of a float32 array into `bytes`, NPY_HEADER_BYTES of them whatever the shape is. */
#define NPY_HEADER_BYTES 256
void npy_header_make(const struct npy *npy, char *bytes);
