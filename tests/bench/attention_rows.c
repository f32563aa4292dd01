/* SPDX-License-Identifier: MIT */
/*
 * Every case has the same runners, measured side by side on the same frames: the library's methods, and the published
 * update with means of segments and with fixed landmarks. Of many streams in turn only the methods with landmarks from
 * segments run: there are gigabytes of states.
 */
#include "attention_rows.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"
#include "floors.h"
#include "measure.h"
#include "streams.h"
#include "table.h"

enum method { IMMEDIATE, SPREAD, FIXED, EXACT, N_METHODS };
enum { NAIVE_MEANS = N_METHODS, NAIVE_FIXED, N_RUNNERS };

static const struct bench_row method_rows[N_METHODS] = {
    [IMMEDIATE] = {.name = "nystrom", .method = "nystrom", .refresh = "immediate"},
    [SPREAD] = {.name = "nystrom", .method = "nystrom", .refresh = "spread"},
    [FIXED] = {.name = "nystrom fixed", .method = "nystrom", .refresh = "immediate"},
    [EXACT] = {.name = "exact", .method = "exact"},
};

struct naive_streams {
    struct bench_naive *naive;
    struct bench_frames frames;
    size_t n_streams, pushed;
    float *output;
};

struct bench {
    const struct bench_attention_case *of;
    float *landmarks; /* [2][H][m][d]: fixed ones, q and k */
    struct attn_plan *plan[N_METHODS];
    struct bench_streams streams[N_METHODS];
    struct naive_streams naive[2];
    struct bench_runner runners[N_RUNNERS];
};

static bool wanted(const struct bench *bench, int method)
{
    return bench->of->n_streams == 1 || method == IMMEDIATE || method == SPREAD;
}

static const float *k_landmarks(const struct bench *bench)
{
    const struct bench_shape *shape = &bench->of->shape;
    return bench->landmarks + shape->heads * shape->m * shape->d;
}

static struct attn_options options_of(const struct bench *bench, int method)
{
    const struct bench_shape *shape = &bench->of->shape;
    struct attn_options options = {
        .size = sizeof(options),
        .method = method == EXACT ? ATTN_EXACT : ATTN_NYSTROM,
        .heads = (uint32_t)shape->heads,
        .head_dim = (uint32_t)shape->d,
        .window = (uint32_t)shape->n,
        .landmarks = method == EXACT ? 0 : (uint32_t)shape->m,
        .refresh = method == SPREAD ? ATTN_REFRESH_SPREAD : ATTN_REFRESH_IMMEDIATE,
    };
    if (method == FIXED) {
        options.landmark_policy = ATTN_LANDMARKS_FIXED;
        options.q_landmarks = bench->landmarks;
        options.k_landmarks = k_landmarks(bench);
    }
    return options;
}

/* Calls after which the work repeats itself: one segment, or a window where segments differ; of many streams at least
 * one frame each. */
static size_t period_of(const struct bench *bench)
{
    const struct bench_shape *shape = &bench->of->shape;
    size_t period = shape->n % shape->m == 0 ? shape->n / shape->m : shape->n;
    return period > bench->of->n_streams ? period : bench->of->n_streams;
}

static int start_method(struct bench *bench, int method)
{
    struct attn_options options = options_of(bench, method);
    struct attn_reason why;
    const struct bench_shape *shape = &bench->of->shape;
    if (attn_plan_new(&bench->plan[method], &options, &why) != 0) {
        fprintf(stderr, "%s\n", why.text);
        return -1;
    }
    if (bench_streams_init(&bench->streams[method], bench->plan[method], bench->of->n_streams) < 0) {
        fprintf(stderr, "no memory for %zu streams\n", bench->of->n_streams);
        return -1;
    }
    size_t n_streams = bench->of->n_streams, period = method == EXACT ? BENCH_FEW_CALLS : period_of(bench);
    bench->runners[method] = (struct bench_runner){
        .call = bench_streams_push,
        .self = &bench->streams[method],
        .period = period,
        .cycle = n_streams == 1 ? period : n_streams * shape->n,
        .closing = method == EXACT ? 1 : (shape->n + shape->m - 1) / shape->m,
    };
    return 0;
}

static void push_naive(void *self)
{
    struct naive_streams *streams = self;
    size_t i = streams->pushed++;
    bench_naive_push(streams->naive, i % streams->n_streams, bench_frames_at(&streams->frames, i), streams->output);
}

static void warm_naive(struct naive_streams *streams, size_t window)
{
    for (size_t i = 0; i < streams->n_streams; i++)
        for (size_t t = 0; t < bench_streams_warming(window - 1, window, i, streams->n_streams); t++)
            bench_naive_push(streams->naive, i, bench_frames_at(&streams->frames, t), streams->output);
}

static int start_naive(struct bench *bench, bool fixed)
{
    struct naive_streams *streams = &bench->naive[fixed];
    const struct bench_shape *shape = &bench->of->shape;
    streams->n_streams = bench->of->n_streams;
    streams->naive =
        bench_naive_new(shape, streams->n_streams, fixed ? bench->landmarks : NULL, fixed ? k_landmarks(bench) : NULL);
    if (streams->naive == NULL)
        return 0;
    streams->output = malloc(shape->heads * shape->d * sizeof(float));
    if (bench_frames_init(&streams->frames, 3 * shape->heads * shape->d) < 0 || streams->output == NULL)
        return -1;
    warm_naive(streams, shape->n);
    bench->runners[NAIVE_MEANS + fixed] =
        (struct bench_runner){.call = push_naive, .self = streams, .period = period_of(bench)};
    return 0;
}

static int start(struct bench *bench)
{
    const struct bench_shape *shape = &bench->of->shape;
    size_t n = 2 * shape->heads * shape->m * shape->d;
    bench->landmarks = malloc(n * sizeof(float));
    if (bench->landmarks == NULL)
        return -1;
    bench_random(n, bench->landmarks, 0.5f, n);
    for (int method = 0; method < N_METHODS; method++)
        if (wanted(bench, method) && start_method(bench, method) < 0)
            return -1;
    return start_naive(bench, false) < 0 || (wanted(bench, FIXED) && start_naive(bench, true) < 0) ? -1 : 0;
}

static void stop(struct bench *bench)
{
    for (int method = 0; method < N_METHODS; method++) {
        bench_streams_done(&bench->streams[method]);
        attn_plan_free(bench->plan[method]);
    }
    for (int fixed = 0; fixed < 2; fixed++) {
        bench_naive_free(bench->naive[fixed].naive);
        bench_frames_done(&bench->naive[fixed].frames);
        free(bench->naive[fixed].output);
    }
    free(bench->landmarks);
}

static void print(const struct bench_row *row)
{
    const struct bench_shape *s = &row->shape;
    printf("%-13s %-9s %5zu %2zu %4zu %2zu %4zu", row->name, row->refresh == NULL ? "" : row->refresh, s->n, s->m, s->d,
           s->heads, row->batch);
    const double columns[] = {row->mean_us,   row->times.p50, row->times.p99, row->times.p999,
                              row->times.max, row->naive_us,  row->exact_us,  row->floor_us};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        bench_table_print(columns[i]);
    printf("%9zu\n", row->state_bytes / 1024);
    fflush(stdout);
}

/* The largest difference between the newest outputs of both, before they are measured: they compute the same. */
static double difference(const struct bench *bench, int method, int naive)
{
    const float *ours = bench->streams[method].output, *theirs = bench->naive[naive - NAIVE_MEANS].output;
    double largest = NAN;
    if (ours != NULL && theirs != NULL)
        for (size_t i = 0; i < bench->of->shape.heads * bench->of->shape.d; i++)
            largest = fmax(largest, fabs((double)ours[i] - (double)theirs[i]));
    return largest;
}

/* The published update refreshes immediately, and so does what the floor is of: both are nevertheless what a spread
 * refresh is compared with. */
static void add_row(json_t *table, const struct bench *bench, int method, double floor_us, double naive_difference)
{
    struct attn_info info = {.size = sizeof(info)};
    struct bench_row row = method_rows[method];
    attn_plan_info(bench->plan[method], &info);
    row.kernels = attn_variant_name(info.variant);
    row.shape = bench->of->shape;
    row.shape.m = method == EXACT ? 0 : row.shape.m;
    row.batch = bench->of->n_streams;
    row.mean_us = bench->runners[method].mean_us;
    row.times = bench_percentiles(&bench->runners[method]);
    row.naive_us = method == EXACT ? NAN : bench->runners[method == FIXED ? NAIVE_FIXED : NAIVE_MEANS].mean_us;
    row.exact_us = bench->runners[EXACT].mean_us;
    row.floor_us = method == IMMEDIATE || method == SPREAD ? floor_us : NAN;
    row.state_bytes = info.state_bytes;
    bench_table_set(bench_table_add(table, &row), "naive_difference", naive_difference);
    print(&row);
}

static int run_case(json_t *table, const struct bench_attention_case *of, double product_rate)
{
    struct bench bench = {.of = of};
    int result = start(&bench);
    if (result == 0) {
        double read_rate = bench_read_rate(bench.streams[IMMEDIATE].state_bytes * of->n_streams);
        double floor_us = bench_floor_us(&of->shape, product_rate, read_rate);
        double differences[N_METHODS] = {difference(&bench, IMMEDIATE, NAIVE_MEANS), NAN,
                                         difference(&bench, FIXED, NAIVE_FIXED), NAN};
        bench_means(bench.runners, N_RUNNERS);
        for (int method = 0; method < N_METHODS; method++)
            if (wanted(&bench, method))
                add_row(table, &bench, method, floor_us, differences[method]);
    }
    stop(&bench);
    return result;
}

int bench_attention_rows(json_t *table, const struct bench_attention_case *cases, size_t n_cases, double product_rate)
{
    printf("\nraw attention, µs a frame; batch: streams in turn\n"
           "method        refresh       n  m    d  H batch   mean      p50      p99    p99.9      max    naive    exact"
           "    floor    KiB\n");
    for (size_t i = 0; i < n_cases; i++)
        if (run_case(table, &cases[i], product_rate) < 0)
            return -1;
    return 0;
}
