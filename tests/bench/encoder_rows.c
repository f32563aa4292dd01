/* SPDX-License-Identifier: MIT */
/*
 * Parts: the model's linear layers at the batch, and a raw attention of the same shape for each layer, pushed in turn
 * for as many streams as the batch has states of layers, so that they are as far away as those of the encoder. Of a
 * retroactive pair, whose second layer is recomputed and has no state, only the first layer's attention counts. Norms,
 * activations, positional encoding and head are in no part.
 */
#include "encoder_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"
#include "linears.h"
#include "measure.h"
#include "random_model.h"
#include "streams.h"
#include "table.h"

static const struct bench_model models[] = {
    {"sounds", "etc/models/sounds.safetensors", 256, 96, 4, 60, 6, 192, 4, 0, 2, 0},
    {"audio 1", NULL, 128, 192, 16, 120, 16, 1024, 10, 192, 1, 0},
    {"audio 2", NULL, 128, 192, 16, 120, 16, 1024, 10, 192, 2, 0},
    {"audio pair", NULL, 128, 192, 16, 120, 16, 1024, 10, 192, 2, 1},
    {"action 1", NULL, 3072, 1024, 8, 64, 16, 1024, 22, 64, 1, 0},
};

static const size_t batches[] = {1, 8, 64};

enum { ENCODER, LINEARS, ATTENTION, N_PARTS };

struct bench {
    const struct bench_model *model;
    struct attn_plan *encoder, *attention;
    struct bench_streams encoder_streams, attention_streams;
    struct bench_linears linears;
    struct bench_runner parts[N_PARTS];
};

static int new_encoder(struct attn_plan **plan, const struct bench_model *model, const char *source)
{
    struct attn_reason why = {"no memory"};
    char path[4096];
    void *bytes = NULL;
    int error = ATTN_E_MEMORY;
    if (model->path != NULL) {
        snprintf(path, sizeof(path), "%s/%s", source, model->path);
        error = attn_plan_load(plan, path, NULL, &why);
    } else {
        size_t n_bytes = bench_random_model(model, &bytes);
        if (n_bytes != 0)
            error = attn_plan_parse(plan, bytes, n_bytes, NULL, &why);
        free(bytes);
    }
    if (error != 0)
        fprintf(stderr, "%s: %s\n", model->name, why.text);
    return error;
}

static int new_attention(struct attn_plan **plan, const struct bench_model *model)
{
    struct attn_reason why;
    struct attn_options options = {
        .size = sizeof(options),
        .method = ATTN_NYSTROM,
        .heads = model->heads,
        .head_dim = model->model_dim / model->heads,
        .window = model->window,
        .landmarks = model->landmarks,
        .retroactive = model->retroactive,
    };
    int error = attn_plan_new(plan, &options, &why);
    if (error != 0)
        fprintf(stderr, "%s: %s\n", model->name, why.text);
    return error;
}

static size_t n_attentions(const struct bench_model *model)
{
    return model->retroactive ? 1 : model->layers;
}

static int start(struct bench *bench, size_t batch)
{
    size_t window = bench->model->window, calls = (window + batch - 1) / batch;
    size_t n_states = batch * n_attentions(bench->model);
    if (bench_streams_init(&bench->encoder_streams, bench->encoder, batch) < 0 ||
        bench_streams_init(&bench->attention_streams, bench->attention, n_states) < 0 ||
        bench_linears_init(&bench->linears, bench->model, batch) < 0) {
        fprintf(stderr, "no memory for %zu streams\n", batch);
        return -1;
    }
    bench->parts[ENCODER] = (struct bench_runner){
        .call = batch == 1 ? bench_streams_push : bench_streams_push_batch,
        .self = &bench->encoder_streams,
        .period = calls,
        .cycle = calls,
        .closing = window / bench->model->landmarks,
    };
    bench->parts[LINEARS] =
        (struct bench_runner){.call = bench_linears_apply, .self = &bench->linears, .period = BENCH_FEW_CALLS};
    bench->parts[ATTENTION] = (struct bench_runner){
        .call = bench_streams_push, .self = &bench->attention_streams, .period = calls * n_states};
    return 0;
}

static void stop(struct bench *bench)
{
    bench_streams_done(&bench->encoder_streams);
    bench_streams_done(&bench->attention_streams);
    bench_linears_done(&bench->linears);
}

static void print(const char *name, size_t batch, const double *columns, size_t n)
{
    printf("%-12s %5zu", name, batch);
    for (size_t i = 0; i < n; i++)
        bench_table_print(columns[i]);
    printf("\n");
    fflush(stdout);
}

static void add_row(json_t *table, const struct bench *bench, size_t batch)
{
    char name[64];
    const struct bench_model *model = bench->model;
    double frame_us = bench->parts[ENCODER].mean_us / (double)batch;
    double packed_us = bench->parts[LINEARS].mean_us;
    double attention_us = bench->parts[ATTENTION].mean_us * (double)n_attentions(model);
    double parts_us = packed_us + (double)batch * attention_us;
    snprintf(name, sizeof(name), "encoder %s", model->name);
    struct bench_row row = {
        .name = name,
        .method = "nystrom",
        .refresh = "immediate",
        .kernels = bench->linears.kernels->name,
        .shape = {model->window, model->landmarks, model->model_dim / model->heads, model->heads},
        .batch = batch,
        .mean_us = frame_us,
        .times = batch == 1 ? bench_percentiles(&bench->parts[ENCODER]) : bench_no_percentiles(),
        .naive_us = NAN,
        .exact_us = NAN,
        .floor_us = NAN,
        .state_bytes = bench->encoder_streams.state_bytes,
    };
    json_t *json = bench_table_add(table, &row);
    bench_table_set(json, "batch_us", bench->parts[ENCODER].mean_us);
    bench_table_set(json, "packed_us", packed_us);
    bench_table_set(json, "attention_us", attention_us);
    bench_table_set(json, "parts_us", parts_us);
    bench_table_set(json, "ratio", bench->parts[ENCODER].mean_us / parts_us);
    print(model->name, batch,
          (const double[]){frame_us, row.times.p50, row.times.p99, row.times.p999, packed_us / (double)batch,
                           attention_us, bench->parts[ENCODER].mean_us / parts_us},
          7);
}

static int run_model(json_t *table, const struct bench_model *model, const char *source)
{
    struct bench bench = {.model = model};
    int error = new_encoder(&bench.encoder, model, source);
    if (error == ATTN_E_SUPPORT) /* a library without its loader */
        return 0;
    int result = error == 0 && new_attention(&bench.attention, model) == 0 ? 0 : -1;
    for (size_t i = 0; result == 0 && i < sizeof(batches) / sizeof(batches[0]); i++) {
        result = start(&bench, batches[i]);
        if (result == 0) {
            bench_means(bench.parts, N_PARTS);
            add_row(table, &bench, batches[i]);
        }
        stop(&bench);
    }
    attn_plan_free(bench.encoder);
    attn_plan_free(bench.attention);
    return result;
}

int bench_encoder_rows(json_t *table, const char *source)
{
    printf("\nwhole encoders, µs a frame, beside their linear layers and attention alone\n"
           "model        batch     mean      p50      p99    p99.9   packed attention / parts\n");
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        if (run_model(table, &models[i], source) < 0)
            return -1;
    return 0;
}
