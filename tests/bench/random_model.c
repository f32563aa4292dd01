/* SPDX-License-Identifier: MIT */
/*
 * As published checkpoints of continual Nyström encoders are: post-norm, no output projection, the residual from the
 * oldest frame of the window and, behind a retroactive layer, heads merged by a raw reshape.
 */
#include "random_model.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

struct writer {
    json_t *header;
    float *data;
    size_t n, capacity; /* floats */
};

/* The data of one more tensor; shape[1] 0: a vector. NULL without memory. */
static float *add_tensor(struct writer *writer, const char *name, size_t rows, size_t columns)
{
    size_t begin = writer->n, end = begin + rows * (columns == 0 ? 1 : columns);
    if (end > writer->capacity) {
        float *data = realloc(writer->data, 2 * end * sizeof(float));
        if (data == NULL)
            return NULL;
        writer->data = data;
        writer->capacity = 2 * end;
    }
    json_t *shape = json_pack("[I]", (json_int_t)rows);
    if (columns != 0)
        json_array_append_new(shape, json_integer((json_int_t)columns));
    json_object_set_new(writer->header, name,
                        json_pack("{s:s, s:o, s:[II]}", "dtype", "F32", "shape", shape, "data_offsets",
                                  (json_int_t)(begin * sizeof(float)), (json_int_t)(end * sizeof(float))));
    writer->n = end;
    return writer->data + begin;
}

static int add_values(struct writer *writer, const char *name, size_t rows, size_t columns, float mean, float deviation)
{
    float *values = add_tensor(writer, name, rows, columns);
    size_t n = rows * (columns == 0 ? 1 : columns);
    if (values == NULL)
        return -1;
    bench_random(n, values, deviation, writer->n);
    for (size_t i = 0; i < n; i++)
        values[i] += mean;
    return 0;
}

/* A matrix that keeps the size of what it is multiplied with, or a norm (columns 0), and a bias. */
static int add_part(struct writer *writer, const char *prefix, const char *part, size_t rows, size_t columns)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof(weight), "%s%s.weight", prefix, part);
    snprintf(bias, sizeof(bias), "%s%s.bias", prefix, part);
    int error = columns == 0 ? add_values(writer, weight, rows, 0, 1, 0.1f)
                             : add_values(writer, weight, rows, columns, 0, 1 / sqrtf((float)columns));
    return error < 0 ? error : add_values(writer, bias, rows, 0, 0, 0.1f);
}

static int add_layer(struct writer *writer, const struct bench_model *model, uint32_t layer)
{
    char prefix[32];
    size_t e = model->model_dim, f = model->ff_dim;
    snprintf(prefix, sizeof(prefix), "blocks.%u.", layer);
    if (add_part(writer, prefix, "q", e, e) < 0 || add_part(writer, prefix, "k", e, e) < 0 ||
        add_part(writer, prefix, "v", e, e) < 0 || add_part(writer, prefix, "norm1", e, 0) < 0 ||
        add_part(writer, prefix, "ff1", f, e) < 0 || add_part(writer, prefix, "ff2", e, f) < 0 ||
        add_part(writer, prefix, "norm2", e, 0) < 0)
        return -1;
    return 0;
}

static int add_tensors(struct writer *writer, const struct bench_model *model)
{
    size_t e = model->model_dim;
    if (add_part(writer, "", "embed", e, model->n_in) < 0 ||
        add_values(writer, "pe.weight", model->positions, e, 0, 0.1f) < 0 || add_part(writer, "", "norm", e, 0) < 0 ||
        add_part(writer, "", "head", model->n_out, e) < 0)
        return -1;
    for (uint32_t layer = 0; layer < model->layers; layer++)
        if (add_layer(writer, model, layer) < 0)
            return -1;
    return 0;
}

static char *configuration(const struct bench_model *model)
{
    json_t *layers = json_array();
    for (uint32_t i = 0; i < model->layers; i++) {
        int retroactive = model->retroactive && i == 0;
        json_array_append_new(layers,
                              json_pack("{s:s, s:i, s:b, s:s}", "method", "nystrom", "landmarks", (int)model->landmarks,
                                        "retroactive", retroactive, "head_merge", retroactive ? "raw" : "concat"));
    }
    json_t *json = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:o}", "version", 1, "input_dim",
                             (int)model->n_in, "model_dim", (int)model->model_dim, "heads", (int)model->heads, "window",
                             (int)model->window, "positions", (int)model->positions, "residual_tap", "oldest", "norm",
                             "post", "activation", "gelu", "head", "softmax", "layers", layers);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* 8 bytes: length of the header; the header; the data. */
static size_t assemble(const struct writer *writer, void **bytes)
{
    char *header = json_dumps(writer->header, JSON_COMPACT), *file = NULL;
    uint64_t header_bytes = header == NULL ? 0 : strlen(header);
    size_t data_bytes = writer->n * sizeof(float), n_bytes = sizeof(header_bytes) + header_bytes + data_bytes;
    if (header != NULL)
        file = malloc(n_bytes);
    if (file != NULL) {
        memcpy(file, &header_bytes, sizeof(header_bytes));
        memcpy(file + sizeof(header_bytes), header, header_bytes);
        memcpy(file + sizeof(header_bytes) + header_bytes, writer->data, data_bytes);
    }
    free(header);
    *bytes = file;
    return file == NULL ? 0 : n_bytes;
}

size_t bench_random_model(const struct bench_model *model, void **bytes)
{
    size_t n_bytes = 0;
    char *text = configuration(model);
    struct writer writer = {.header = json_pack("{s:{s:s}}", "__metadata__", "attnd", text)};
    if (writer.header != NULL && add_tensors(&writer, model) == 0)
        n_bytes = assemble(&writer, bytes);
    json_decref(writer.header);
    free(writer.data);
    free(text);
    return n_bytes;
}
