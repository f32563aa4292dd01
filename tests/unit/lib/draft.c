/* SPDX-License-Identifier: MIT */
#include "draft.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHAPE(...) ((const uint64_t[]){__VA_ARGS__, 0})

static const char configuration[] =
    "{\"version\": 1, \"input_dim\": 3, \"model_dim\": 4, \"heads\": 2, \"window\": 3, \"positions\": 2, "
    "\"residual_tap\": \"newest\", \"norm\": \"post\", \"activation\": \"gelu\", \"head\": \"softmax\", "
    "\"layers\": [{\"method\": \"exact\"}], \"labels\": [\"yes\", \"no\"]}";

void draft_reshape(struct draft_tensor *tensor, const uint64_t *shape)
{
    size_t n_values = 1;
    tensor->rank = 0;
    for (; shape[tensor->rank] != 0; tensor->rank++) {
        tensor->shape[tensor->rank] = shape[tensor->rank];
        n_values *= shape[tensor->rank];
    }
    free(tensor->values);
    tensor->values = malloc(n_values * sizeof(float));
    uint32_t seed = (uint32_t)strlen(tensor->name);
    for (size_t i = 0; i < n_values; i++) {
        seed = seed * 1664525u + 1013904223u;
        tensor->values[i] = (float)(seed >> 8) / (float)(1 << 23) - 1;
    }
}

struct draft_tensor *draft_add(struct draft *draft, const char *name, const uint64_t *shape)
{
    ck_assert_uint_lt(draft->n_tensors, DRAFT_TENSORS);
    struct draft_tensor *tensor = &draft->tensors[draft->n_tensors++];
    memset(tensor, 0, sizeof(*tensor));
    snprintf(tensor->name, sizeof(tensor->name), "%s", name);
    draft_reshape(tensor, shape);
    return tensor;
}

void draft_init(struct draft *draft)
{
    memset(draft, 0, sizeof(*draft));
    strcpy(draft->configuration, configuration);
    draft_add(draft, "embed.weight", SHAPE(4, 3));
    draft_add(draft, "embed.bias", SHAPE(4));
    draft_add(draft, "pe.weight", SHAPE(2, 4));
    draft_add(draft, "blocks.0.q.weight", SHAPE(4, 4));
    draft_add(draft, "blocks.0.q.bias", SHAPE(4));
    draft_add(draft, "blocks.0.k.weight", SHAPE(4, 4));
    draft_add(draft, "blocks.0.k.bias", SHAPE(4));
    draft_add(draft, "blocks.0.v.weight", SHAPE(4, 4));
    draft_add(draft, "blocks.0.v.bias", SHAPE(4));
    draft_add(draft, "blocks.0.o.weight", SHAPE(4, 4));
    draft_add(draft, "blocks.0.o.bias", SHAPE(4));
    draft_add(draft, "blocks.0.norm1.weight", SHAPE(4));
    draft_add(draft, "blocks.0.norm1.bias", SHAPE(4));
    draft_add(draft, "blocks.0.norm2.weight", SHAPE(4));
    draft_add(draft, "blocks.0.norm2.bias", SHAPE(4));
    draft_add(draft, "blocks.0.ff1.weight", SHAPE(5, 4));
    draft_add(draft, "blocks.0.ff1.bias", SHAPE(5));
    draft_add(draft, "blocks.0.ff2.weight", SHAPE(4, 5));
    draft_add(draft, "blocks.0.ff2.bias", SHAPE(4));
    draft_add(draft, "norm.weight", SHAPE(4));
    draft_add(draft, "norm.bias", SHAPE(4));
    draft_add(draft, "head.weight", SHAPE(2, 4));
    draft_add(draft, "head.bias", SHAPE(2));
}

void draft_done(struct draft *draft)
{
    for (size_t i = 0; i < draft->n_tensors; i++)
        free(draft->tensors[i].values);
}

void draft_replace(struct draft *draft, const char *from, const char *to)
{
    char *place = strstr(draft->configuration, from);
    ck_assert_msg(place != NULL, "%s is not in the configuration", from);
    char rest[sizeof(draft->configuration)];
    strcpy(rest, place + strlen(from));
    ck_assert_uint_lt(strlen(draft->configuration) + strlen(to), sizeof(draft->configuration));
    strcpy(place, to);
    strcat(place, rest);
}

struct draft_tensor *draft_find(struct draft *draft, const char *name)
{
    for (size_t i = 0; i < draft->n_tensors; i++)
        if (strcmp(draft->tensors[i].name, name) == 0)
            return &draft->tensors[i];
    ck_abort_msg("no tensor %s in the draft", name);
    return NULL;
}

void draft_remove(struct draft *draft, const char *name)
{
    struct draft_tensor *tensor = draft_find(draft, name);
    free(tensor->values);
    *tensor = draft->tensors[--draft->n_tensors];
}

void draft_add_block(struct draft *draft, const char *layer)
{
    char text[256];
    snprintf(text, sizeof(text), "}, %s], \"labels\"", layer);
    draft_replace(draft, "}], \"labels\"", text);
    draft->n_blocks++;
    for (size_t i = 0, n = draft->n_tensors; i < n; i++) {
        const struct draft_tensor *first = &draft->tensors[i];
        if (strncmp(first->name, "blocks.0.", 9) != 0)
            continue;
        snprintf(text, sizeof(text), "blocks.%zu.%s", draft->n_blocks, first->name + 9);
        uint64_t shape[5] = {0};
        memcpy(shape, first->shape, first->rank * sizeof(shape[0]));
        draft_add(draft, text, shape);
    }
}

static size_t n_bytes_of(const struct draft_tensor *tensor)
{
    size_t n_bytes = sizeof(float);
    for (uint32_t i = 0; i < tensor->rank; i++)
        n_bytes *= tensor->shape[i];
    return n_bytes;
}

static size_t print_tensor(char *text, const struct draft_tensor *tensor, size_t begin)
{
    char *at = text;
    at += sprintf(at, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", tensor->name);
    for (uint32_t i = 0; i < tensor->rank; i++)
        at += sprintf(at, "%s%" PRIu64, i == 0 ? "" : ",", tensor->shape[i]);
    at += sprintf(at, "],\"data_offsets\":[%zu,%zu]}", begin, begin + n_bytes_of(tensor));
    return (size_t)(at - text);
}

struct draft_file draft_raw(const char *header, size_t n_data)
{
    uint64_t length = strlen(header);
    struct draft_file file = {.n_bytes = 8 + length + n_data};
    file.bytes = calloc(file.n_bytes, 1);
    memcpy(file.bytes, &length, 8);
    memcpy(file.bytes + 8, header, length);
    return file;
}

struct draft_file draft_write(const struct draft *draft)
{
    static char header[16384];
    char *at = header;
    size_t n_data = 0;
    at += sprintf(at, "{\"__metadata__\":{\"attnd\":\"");
    for (const char *c = draft->configuration; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            *at++ = '\\';
        *at++ = *c;
    }
    at += sprintf(at, "\"}");
    for (size_t i = 0; i < draft->n_tensors; i++) {
        at += print_tensor(at, &draft->tensors[i], n_data);
        n_data += n_bytes_of(&draft->tensors[i]);
    }
    strcpy(at, "}");
    struct draft_file file = draft_raw(header, n_data);
    unsigned char *data = file.bytes + file.n_bytes - n_data;
    for (size_t i = 0; i < draft->n_tensors; i++) {
        memcpy(data, draft->tensors[i].values, n_bytes_of(&draft->tensors[i]));
        data += n_bytes_of(&draft->tensors[i]);
    }
    return file;
}
