/* SPDX-License-Identifier: MIT */
/* How many frames a second the library alone pushes through a model on one thread, in batches of a given size. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "attn/attn.h"
#include "clock.h"
#include "streams.h"

static int run(const struct attn_plan *plan, size_t n_streams, double seconds)
{
    struct bench_streams streams;
    int status = bench_streams_init(&streams, plan, n_streams);
    if (status == 0) {
        double start = bench_now(), now = start;
        size_t before = streams.pushed;
        for (; now < start + seconds; now = bench_now())
            bench_streams_push_batch(&streams);
        printf("%.1f\n", (double)(streams.pushed - before) / (now - start));
    } else {
        fprintf(stderr, "no memory for %zu streams\n", n_streams);
    }
    bench_streams_done(&streams);
    return status;
}

int main(int argc, char **argv)
{
    struct attn_plan *plan;
    struct attn_reason why;
    size_t n_streams = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    double seconds = argc == 4 ? strtod(argv[3], NULL) : 0;
    if (n_streams == 0 || n_streams > 1000000 || !(seconds > 0)) {
        fprintf(stderr, "usage: %s MODEL STREAMS SECONDS\n", argv[0]);
        return 2;
    }
    if (attn_plan_load(&plan, argv[1], NULL, &why) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], why.text);
        return 1;
    }
    int status = run(plan, n_streams, seconds);
    attn_plan_free(plan);
    return status == 0 ? 0 : 1;
}
