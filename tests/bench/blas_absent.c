/* SPDX-License-Identifier: MIT */
/* A build without OpenBLAS: nothing to compare with. */
#include "blas.h"
#include "naive.h"

void bench_blas_start(void)
{
}

const char *bench_blas_name(void)
{
    return NULL;
}

void bench_blas_product(size_t m, size_t n_out, size_t n_in, float *y, const float *x, const float *w)
{
    (void)m, (void)n_out, (void)n_in, (void)y, (void)x, (void)w;
}

void bench_blas_rows(size_t m, size_t n_out, size_t n_in, float *y, const float *x, const float *w)
{
    bench_blas_product(m, n_out, n_in, y, x, w);
}

struct bench_naive *bench_naive_new(const struct bench_shape *shape, size_t n_streams, const float *q_landmarks,
                                    const float *k_landmarks)
{
    (void)shape, (void)n_streams, (void)q_landmarks, (void)k_landmarks;
    return NULL;
}

void bench_naive_free(struct bench_naive *naive)
{
    (void)naive;
}

void bench_naive_push(struct bench_naive *naive, size_t stream, const float *frame, float *output)
{
    (void)naive, (void)stream, (void)frame, (void)output;
}
