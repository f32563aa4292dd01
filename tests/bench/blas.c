/* SPDX-License-Identifier: MIT */
#include "blas.h"

#include <cblas.h>

void bench_blas_start(void)
{
    openblas_set_num_threads(1);
}

const char *bench_blas_name(void)
{
    return openblas_get_config();
}

void bench_blas_product(size_t m, size_t n_out, size_t n_in, float *y, const float *x, const float *w)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n_out, (int)n_in, 1, x, (int)n_in, w, (int)n_in,
                0, y, (int)n_out);
}

void bench_blas_rows(size_t m, size_t n_out, size_t n_in, float *y, const float *x, const float *w)
{
    for (size_t row = 0; row < m; row++)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)n_out, (int)n_in, 1, w, (int)n_in, x + row * n_in, 1, 0,
                    y + row * n_out, 1);
}
