/* SPDX-License-Identifier: MIT */
#include "packed_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "blas.h"
#include "kernels/kernels.h"
#include "linear.h"
#include "measure.h"
#include "random.h"
#include "table.h"

#define MAX_BATCH 64

static const struct {
    uint32_t n_out, n_in;
} weights[] = {{192, 192}, {576, 192}, {1024, 1024}};

static const size_t batches[] = {1, 2, 4, 6, 8, 12, 16, 32, MAX_BATCH};

struct product {
    const struct attn_kernels *kernels;
    struct attn_linear linear;
    float *w, *x, *y; /* [n_out][n_in], [MAX_BATCH][n_in], [MAX_BATCH][n_out] */
    size_t batch;
};

enum { PACKED, PRODUCT, ROWS, N_WAYS };

static void call_packed(void *self)
{
    struct product *p = self;
    p->kernels->packed(p->batch, p->linear.n_in, p->linear.n_out, p->y, p->x, p->linear.panels, p->linear.bias);
}

static void call_product(void *self)
{
    struct product *p = self;
    bench_blas_product(p->batch, p->linear.n_out, p->linear.n_in, p->y, p->x, p->w);
}

static void call_rows(void *self)
{
    struct product *p = self;
    bench_blas_rows(p->batch, p->linear.n_out, p->linear.n_in, p->y, p->x, p->w);
}

static int start(struct product *p, uint32_t n_out, uint32_t n_in)
{
    p->kernels = attn_kernels_of(ATTN_VARIANT_BEST);
    p->w = malloc((size_t)n_out * n_in * sizeof(float));
    p->x = malloc((size_t)MAX_BATCH * n_in * sizeof(float));
    p->y = malloc((size_t)MAX_BATCH * n_out * sizeof(float));
    if (p->w == NULL || p->x == NULL || p->y == NULL || attn_linear_init(&p->linear, n_out, n_in) != 0) {
        fprintf(stderr, "no memory for weights\n");
        return -1;
    }
    bench_random((size_t)n_out * n_in, p->w, 1 / sqrtf((float)n_in), 1);
    bench_random((size_t)MAX_BATCH * n_in, p->x, 1, 2);
    attn_linear_set_rows(&p->linear, 0, n_out, p->w, p->x); /* any values will do for a bias */
    return 0;
}

static void stop(struct product *p)
{
    attn_linear_done(&p->linear);
    free(p->w);
    free(p->x);
    free(p->y);
}

static void print(const char *name, size_t batch, const double *gflops, double best)
{
    printf("%-18s %5zu", name, batch);
    for (int way = 0; way < N_WAYS; way++)
        bench_table_print(gflops[way]);
    bench_table_print(gflops[PACKED] / gflops[PRODUCT]);
    bench_table_print(gflops[PACKED] / gflops[ROWS]);
    bench_table_print(gflops[PACKED] / best);
    printf("\n");
    fflush(stdout);
}

static void add_row(json_t *table, const struct product *p, const struct bench_runner *ways, double product_rate)
{
    char name[64];
    double gflops[N_WAYS], operations = 2.0 * (double)p->batch * p->linear.n_out * p->linear.n_in;
    snprintf(name, sizeof(name), "packed %ux%u", p->linear.n_out, p->linear.n_in);
    struct bench_row row = {.name = name,
                            .method = "packed",
                            .kernels = p->kernels->name,
                            .batch = p->batch,
                            .mean_us = ways[PACKED].mean_us,
                            .times = bench_no_percentiles(),
                            .naive_us = NAN,
                            .exact_us = NAN,
                            .floor_us = operations / product_rate * 1e6};
    for (int way = 0; way < N_WAYS; way++)
        gflops[way] = operations / ways[way].mean_us * 1e-3;
    json_t *json = bench_table_add(table, &row);
    bench_table_set(json, "n_out", p->linear.n_out);
    bench_table_set(json, "n_in", p->linear.n_in);
    bench_table_set(json, "gflops", gflops[PACKED]);
    bench_table_set(json, "sgemm_gflops", gflops[PRODUCT]);
    bench_table_set(json, "sgemv_gflops", gflops[ROWS]);
    bench_table_set(json, "ratio", gflops[PACKED] / gflops[PRODUCT]);
    bench_table_set(json, "share_of_best_sgemm", operations / ways[PACKED].mean_us * 1e6 / product_rate);
    print(name, p->batch, gflops, product_rate * 1e-9);
}

int bench_packed_rows(json_t *table, double product_rate)
{
    int result = 0;
    printf("\nproducts with constant weights (out x in), GFLOP/s; the last columns: packed over each of them\n"
           "weights            batch   packed    sgemm    sgemv  / sgemm  / sgemv   / best\n");
    for (size_t i = 0; result == 0 && i < sizeof(weights) / sizeof(weights[0]); i++) {
        struct product product = {0};
        result = start(&product, weights[i].n_out, weights[i].n_in);
        for (size_t j = 0; result == 0 && j < sizeof(batches) / sizeof(batches[0]); j++) {
            struct bench_runner ways[N_WAYS] = {
                [PACKED] = {.call = call_packed, .self = &product, .period = 1},
                [PRODUCT] = {.call = bench_blas_name() == NULL ? NULL : call_product, .self = &product, .period = 1},
                [ROWS] = {.call = bench_blas_name() == NULL ? NULL : call_rows, .self = &product, .period = 1},
            };
            product.batch = batches[j];
            bench_means(ways, N_WAYS);
            add_row(table, &product, ways, product_rate);
        }
        stop(&product);
    }
    return result;
}
