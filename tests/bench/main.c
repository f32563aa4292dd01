/* SPDX-License-Identifier: MIT */
/*
 * How fast the library is, and how fast it could be: `make bench`. One thread on one processor, about two minutes. It
 * never fails for slowness.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "attention_rows.h"
#include "attn/attn.h"
#include "blas.h"
#include "clock.h"
#include "encoder_rows.h"
#include "floors.h"
#include "packed_rows.h"
#include "summary.h"
#include "table.h"

static const struct bench_attention_case cases[] = {
    {{120, 4, 192, 1}, 1}, {{120, 16, 192, 1}, 1}, {{120, 16, 12, 16}, 1},  {{64, 16, 1024, 1}, 1},
    {{512, 32, 64, 8}, 1}, {{4096, 64, 64, 8}, 1}, {{16384, 64, 64, 8}, 1}, {{120, 16, 192, 1}, 4000},
};

static double print_machine(void)
{
    int processor = bench_pin();
    bench_blas_start();
    double product_rate = bench_product_rate();
    printf("attnd %s, kernels %s, processor %d, clock %.3f µs a reading\n", attn_version(),
           attn_variant_name(ATTN_VARIANT_BEST), processor, bench_clock_overhead_us());
    if (bench_blas_name() == NULL)
        printf("built without OpenBLAS: no floors and nothing to compare with; configure --with-openblas for those\n");
    else
        printf("best sgemm %.1f GFLOP/s (%s)\n", product_rate * 1e-9, bench_blas_name());
    printf("read");
    for (size_t n_bytes = 1 << 18; n_bytes <= (size_t)1 << 30; n_bytes <<= 4)
        printf("  %zu KiB %.1f GB/s", n_bytes >> 10, bench_read_rate(n_bytes) * 1e-9);
    printf("\n");
    fflush(stdout);
    return product_rate;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s source-folder bench.json\n", argv[0]);
        return EXIT_FAILURE;
    }
    json_t *table = json_array();
    double product_rate = print_machine();
    int error = bench_packed_rows(table, product_rate);
    if (error == 0)
        error = bench_attention_rows(table, cases, sizeof(cases) / sizeof(cases[0]), product_rate);
    if (error == 0)
        error = bench_encoder_rows(table, argv[1]);
    bench_summary_print(table);
    if (bench_table_write(table, argv[2]) != 0) {
        fprintf(stderr, "%s cannot be written\n", argv[2]);
        error = -1;
    }
    json_decref(table);
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
