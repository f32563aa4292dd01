/* SPDX-License-Identifier: MIT */
/* What no implementation could do without: maths section 9, with the rates of this machine at this moment. */
#pragma once

#include <stddef.h>

#include "naive.h"

/* Bytes that one processor reads in a second out of a working set of this size: the best of some passes with the widest
 * vectors of the machine. NaN without memory. */
double bench_read_rate(size_t n_bytes);

/* Operations a second of sgemm, the best of some sizes; NaN without a BLAS. */
double bench_product_rate(void);

/* The floor of one frame of a Nyström step with immediate refresh, mean over the frames, µs. */
double bench_floor_us(const struct bench_shape *shape, double product_rate, double read_rate);
