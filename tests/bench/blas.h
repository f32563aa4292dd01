/* SPDX-License-Identifier: MIT */
/* What the library is compared with: OpenBLAS on one thread. A build without it has blas_absent.c in the place of
 * blas.c. */
#pragma once

#include <stddef.h>

/* Sets it to one thread. */
void bench_blas_start(void);

/* "OpenBLAS 0.3.20 …", or NULL where there is none. */
const char *bench_blas_name(void);

/* Y[M×n_out] = X[M×n_in] · Wᵀ with W [n_out×n_in]: one product … */
void bench_blas_product(size_t m, size_t n_out, size_t n_in, float *y, const float *x, const float *w);

/* … or one product with a vector for each row. */
void bench_blas_rows(size_t m, size_t n_out, size_t n_in, float *y, const float *x, const float *w);
