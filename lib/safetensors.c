/* SPDX-License-Identifier: MIT */
/*
 * The format (https://huggingface.co/docs/safetensors): 8 bytes, little-endian: length of the header; the header, a
 * JSON object {name: {dtype, shape, data_offsets: [begin, end]}} with an optional `__metadata__` of strings; the data,
 * in which the offsets count. Here the data must be filled to the last byte and no byte may be in two tensors, so that
 * two readers cannot see different things in one file.
 *
 * Offsets in messages count from the start of the file, so that a hex dump shows the place.
 */
#include "safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "reason.h"

#define LENGTH_BYTES 8

/* What every function below needs to judge one tensor. */
struct reader {
    size_t data_offset; /* of the data in the file */
    size_t data_bytes;
    struct attn_reason *why;
};

/* A non-negative integer that fits size_t. */
static int read_size(json_t *json, size_t *size)
{
    if (!json_is_integer(json) || json_integer_value(json) < 0)
        return -1;
    *size = (size_t)json_integer_value(json);
    return (json_int_t)*size == json_integer_value(json) ? 0 : -1;
}

static int read_shape(const struct reader *reader, struct attn_tensor *tensor, json_t *shape)
{
    if (!json_is_array(shape) || json_array_size(shape) > ATTN_MAX_RANK)
        return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %s: shape is not a list of at most %d numbers",
                           tensor->name, ATTN_MAX_RANK);
    tensor->rank = (uint32_t)json_array_size(shape);
    tensor->n_values = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        size_t dim;
        if (read_size(json_array_get(shape, i), &dim) < 0 || dim == 0)
            return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %s: shape[%" PRIu32 "] is not a positive integer",
                               tensor->name, i);
        tensor->shape[i] = dim;
        if (__builtin_mul_overflow(tensor->n_values, dim, &tensor->n_values) ||
            tensor->n_values > SIZE_MAX / sizeof(float))
            return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %s: the product of its shape overflows",
                               tensor->name);
    }
    return 0;
}

static int read_span(const struct reader *reader, struct attn_tensor *tensor, json_t *span)
{
    size_t begin, end;
    if (!json_is_array(span) || json_array_size(span) != 2 || read_size(json_array_get(span, 0), &begin) < 0 ||
        read_size(json_array_get(span, 1), &end) < 0)
        return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %s: data_offsets is not a list of two sizes",
                           tensor->name);
    if (begin > end || end > reader->data_bytes)
        return attn_refuse(
            reader->why, ATTN_E_MODEL,
            "tensor %s: data_offsets [%zu, %zu] are not in the data, which has %zu bytes and begins at offset %zu",
            tensor->name, begin, end, reader->data_bytes, reader->data_offset);
    tensor->offset = reader->data_offset + begin;
    if (end - begin != tensor->n_values * sizeof(float))
        return attn_refuse(reader->why, ATTN_E_MODEL,
                           "tensor %s at offset %zu: it has %zu bytes, but its shape needs %zu", tensor->name,
                           tensor->offset, end - begin, tensor->n_values * sizeof(float));
    return 0;
}

static int read_tensor(const struct reader *reader, struct attn_tensor *tensor, const char *name, json_t *json)
{
    static const char *const known[] = {"dtype", "shape", "data_offsets", NULL};
    if (strlen(name) > ATTN_MAX_NAME_BYTES)
        return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %.40s…: its name has %zu bytes; the limit is %d", name,
                           strlen(name), ATTN_MAX_NAME_BYTES);
    if (!json_is_object(json))
        return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %s: its description is not an object", name);
    const char *unknown = attn_json_unknown(json, known);
    if (unknown != NULL)
        return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %s: unknown field %.40s", name, unknown);
    const char *dtype = json_string_value(json_object_get(json, "dtype"));
    if (dtype == NULL)
        return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %s: dtype is absent or not a string", name);
    if (strcmp(dtype, "F32") != 0)
        return attn_refuse(reader->why, ATTN_E_MODEL, "tensor %s: dtype is %.40s; only F32 is supported: convert it",
                           name, dtype);
    tensor->name = name;
    int error = read_shape(reader, tensor, json_object_get(json, "shape"));
    return error < 0 ? error : read_span(reader, tensor, json_object_get(json, "data_offsets"));
}

static int read_metadata(struct attn_safetensors *file, json_t *metadata, struct attn_reason *why)
{
    static const char *const known[] = {"attnd", NULL};
    if (metadata == NULL)
        return attn_refuse(
            why, ATTN_E_MODEL,
            "the file has no __metadata__, so it is no model of attnd: write one as attnd-model(7) shows");
    const char *unknown = json_is_object(metadata) ? attn_json_unknown(metadata, known) : NULL;
    if (unknown != NULL)
        return attn_refuse(why, ATTN_E_MODEL, "__metadata__: unknown key %.40s; attnd is the only one allowed",
                           unknown);
    file->configuration = json_string_value(json_object_get(metadata, "attnd"));
    if (file->configuration == NULL)
        return attn_refuse(why, ATTN_E_MODEL, "__metadata__ has no key attnd whose value is a string");
    return 0;
}

static int by_offset(const void *left, const void *right)
{
    const struct attn_tensor *a = left, *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* No byte of the data in two tensors or in none. */
static int check_cover(const struct reader *reader, const struct attn_safetensors *file)
{
    size_t end = reader->data_offset, file_end = reader->data_offset + reader->data_bytes;
    const char *before = "the header";
    for (size_t i = 0; i < file->n_tensors; i++) {
        const struct attn_tensor *tensor = &file->tensors[i];
        if (tensor->offset < end)
            return attn_refuse(reader->why, ATTN_E_MODEL,
                               "tensor %s at offset %zu overlaps tensor %s, which ends at %zu", tensor->name,
                               tensor->offset, before, end);
        if (tensor->offset > end)
            return attn_refuse(reader->why, ATTN_E_MODEL,
                               "tensor %s at offset %zu: %zu bytes before it belong to no tensor", tensor->name,
                               tensor->offset, tensor->offset - end);
        end = tensor->offset + tensor->n_values * sizeof(float);
        before = tensor->name;
    }
    if (end != file_end)
        return attn_refuse(reader->why, ATTN_E_MODEL, "%zu bytes at offset %zu, after %s, belong to no tensor",
                           file_end - end, end, before);
    return 0;
}

static int read_tensors(const struct reader *reader, struct attn_safetensors *file)
{
    size_t n_members = json_object_size(file->header);
    file->tensors = calloc(n_members + 1, sizeof(*file->tensors));
    if (file->tensors == NULL)
        return attn_refuse(reader->why, ATTN_E_MEMORY, "no memory for the list of %zu tensors", n_members);
    const char *name;
    json_t *value;
    json_object_foreach(file->header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        int error = read_tensor(reader, &file->tensors[file->n_tensors], name, value);
        if (error < 0)
            return error;
        file->n_tensors++;
    }
    qsort(file->tensors, file->n_tensors, sizeof(*file->tensors), by_offset);
    return check_cover(reader, file);
}

int attn_safetensors_open(struct attn_safetensors *file, const void *bytes, size_t n_bytes, struct attn_reason *why)
{
    memset(file, 0, sizeof(*file));
    uint64_t length;
    if (n_bytes < LENGTH_BYTES)
        return attn_refuse(why, ATTN_E_MODEL,
                           "the file has %zu bytes; a safetensors file begins with %d bytes of length", n_bytes,
                           LENGTH_BYTES);
    memcpy(&length, bytes, LENGTH_BYTES);
    if (length > ATTN_MAX_HEADER_BYTES)
        return attn_refuse(why, ATTN_E_MODEL,
                           "the header would have %" PRIu64
                           " bytes, the limit is %u: this is no safetensors file, or not a model",
                           length, ATTN_MAX_HEADER_BYTES);
    if (length > n_bytes - LENGTH_BYTES)
        return attn_refuse(why, ATTN_E_MODEL,
                           "the header would have %" PRIu64 " bytes, but only %zu follow: the file is cut off", length,
                           n_bytes - LENGTH_BYTES);
    const char *header = (const char *)bytes + LENGTH_BYTES;
    if (length == 0 || header[0] != '{')
        return attn_refuse(why, ATTN_E_MODEL, "the header does not begin with '{' at offset %d", LENGTH_BYTES);
    int error = 0;
    file->header = attn_json_read(header, (size_t)length, "the header", &error, why);
    if (file->header == NULL)
        return error;
    struct reader reader = {
        .data_offset = LENGTH_BYTES + (size_t)length,
        .data_bytes = n_bytes - LENGTH_BYTES - (size_t)length,
        .why = why,
    };
    error = read_metadata(file, json_object_get(file->header, "__metadata__"), why);
    return error < 0 ? error : read_tensors(&reader, file);
}

int attn_safetensors_fill(struct attn_safetensors *file, const void *bytes, struct attn_reason *why)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < file->n_tensors; i++) {
        struct attn_tensor *tensor = &file->tensors[i];
        tensor->values = (const unsigned char *)bytes + tensor->offset;
        error = attn_tensor_check_finite(tensor, why);
    }
    return error;
}

int attn_safetensors_init(struct attn_safetensors *file, const void *bytes, size_t n_bytes, struct attn_reason *why)
{
    int error = attn_safetensors_open(file, bytes, n_bytes, why);
    return error < 0 ? error : attn_safetensors_fill(file, bytes, why);
}

void attn_safetensors_done(struct attn_safetensors *file)
{
    json_decref(file->header);
    free(file->tensors);
    memset(file, 0, sizeof(*file));
}
