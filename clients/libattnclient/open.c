/* SPDX-License-Identifier: MIT */
/* Opening a stream: the options as parameters of `open`, its answer as the stream's description. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "libattnclient/client.h"
#include "libattnclient/error.h"

#define MOST_FLOATS                                                                                                    \
    (64u * 1024 * 1024) /* of one frame or output that a daemon may claim: 256 MiB, beyond any message */

static bool fits_bin(const struct attnc_attention *attention, size_t *n_bytes)
{
    size_t n = attention->heads;
    bool too_large = __builtin_mul_overflow(n, (size_t)attention->landmarks, &n) ||
                     __builtin_mul_overflow(n, (size_t)attention->head_dim, &n) ||
                     __builtin_mul_overflow(n, sizeof(float), n_bytes);
    return !too_large && *n_bytes <= UINT32_MAX;
}

static int check_options(struct attnc_client *client, const struct attnc_open_options *options,
                         size_t *n_landmark_bytes)
{
    const struct attnc_attention *attention = options->attention;
    if (options->size != sizeof(*options) || (attention && attention->size != sizeof(*attention)))
        return attnc_fail(&client->error, ATTNC_E_OPTIONS, "the size of the options is not that of their struct");
    if (!options->model == !attention)
        return attnc_fail(&client->error, ATTNC_E_OPTIONS, "a stream needs either a model or an attention");
    if (attention && !attention->q_landmarks != !attention->k_landmarks)
        return attnc_fail(&client->error, ATTNC_E_OPTIONS, "fixed landmarks need both, those of q and those of k");
    if (attention && attention->q_landmarks && !fits_bin(attention, n_landmark_bytes))
        return attnc_fail(&client->error, ATTNC_E_OPTIONS,
                          "%u heads of %u landmarks of %u floats are too large to be sent", attention->heads,
                          attention->landmarks, attention->head_dim);
    return 0;
}

static void put_optional(struct attnp_writer *writer, const char *key, const char *value)
{
    if (value)
        attnp_put_string(writer, key, value);
}

static void put_attention(struct attnp_writer *writer, const struct attnc_attention *attention, size_t n_landmark_bytes)
{
    uint32_t n = 4 + !!attention->method + !!attention->landmark_policy + !!attention->refresh +
                 !!attention->inverse_scale + !!attention->retroactive + 2 * !!attention->q_landmarks;
    attnp_write_key(writer, "attention");
    attnp_write_map(writer, n);
    attnp_put_uint(writer, "heads", attention->heads);
    attnp_put_uint(writer, "head_dim", attention->head_dim);
    attnp_put_uint(writer, "window", attention->window);
    attnp_put_uint(writer, "landmarks", attention->landmarks);
    put_optional(writer, "method", attention->method);
    put_optional(writer, "landmark_policy", attention->landmark_policy);
    put_optional(writer, "refresh", attention->refresh);
    put_optional(writer, "inverse_scale", attention->inverse_scale);
    if (attention->retroactive)
        attnp_put_bool(writer, "retroactive", true);
    if (attention->q_landmarks) {
        attnp_put_bin(writer, "q_landmarks", attention->q_landmarks, n_landmark_bytes);
        attnp_put_bin(writer, "k_landmarks", attention->k_landmarks, n_landmark_bytes);
    }
}

/* A whole number of the answer, at most `most`. */
static bool get_number(const msgpack_object *map, const char *key, uint64_t most, uint64_t *value)
{
    const msgpack_object *object = attnp_map_get(map, key);
    if (!object || object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > most)
        return false;
    *value = object->via.u64;
    return true;
}

static bool read_numbers(struct attnc_stream_info *info, const msgpack_object *map)
{
    uint64_t input_dim, output_dim, credit;
    if (!get_number(map, "stream", UINT64_MAX, &info->stream) ||
        !get_number(map, "input_dim", MOST_FLOATS, &input_dim) ||
        !get_number(map, "output_dim", MOST_FLOATS, &output_dim) || !get_number(map, "credit", UINT32_MAX, &credit) ||
        !get_number(map, "next_frame", UINT64_MAX, &info->next_frame))
        return false;
    info->input_dim = input_dim;
    info->output_dim = output_dim;
    info->credit = credit;
    info->settled = info->next_frame;
    return input_dim > 0 && output_dim > 0 && credit > 0;
}

/* Labels are optional; what is not an array of strings counts as none. */
static int read_labels(struct attnc_stream *stream, const msgpack_object *map)
{
    const msgpack_object *labels = attnp_map_get(map, "labels");
    if (!labels || labels->type != MSGPACK_OBJECT_ARRAY || labels->via.array.size == 0)
        return 0;
    stream->labels = calloc(labels->via.array.size, sizeof(*stream->labels));
    if (!stream->labels)
        return -1;
    stream->info.labels = (const char *const *)stream->labels;
    for (uint32_t i = 0; i < labels->via.array.size; i++) {
        const msgpack_object *label = &labels->via.array.ptr[i];
        bool is_string = label->type == MSGPACK_OBJECT_STR;
        stream->labels[i] = is_string ? strndup(label->via.str.ptr, label->via.str.size) : strdup("");
        if (!stream->labels[i])
            return -1;
        stream->info.n_labels = i + 1;
    }
    return 0;
}

/* Puts the stream at its place in the client's table, which is sorted by number. */
static int enter(struct attnc_client *client, struct attnc_stream *stream)
{
    struct attnc_stream **streams = realloc(client->streams, (client->n_streams + 1) * sizeof(*streams));
    if (!streams)
        return -1;
    client->streams = streams;
    size_t i = client->n_streams++;
    for (; i > 0 && streams[i - 1]->info.stream > stream->info.stream; i--)
        streams[i] = streams[i - 1];
    streams[i] = stream;
    return 0;
}

static int send_open(struct attnc_client *client, const struct attnc_open_options *options, size_t n_landmark_bytes)
{
    struct attnp_writer *writer = attnc_request_begin(client, ATTNP_M_OPEN);
    attnp_write_map(writer, 1 + !!options->name + !!options->output);
    if (options->attention)
        put_attention(writer, options->attention, n_landmark_bytes);
    put_optional(writer, "model", options->model);
    put_optional(writer, "name", options->name);
    put_optional(writer, "output", options->output);
    return attnc_request_end(client);
}

int attnc_open(struct attnc_client *client, struct attnc_stream **out, const struct attnc_open_options *options)
{
    size_t n_landmark_bytes = 0;
    *out = NULL;
    int result = check_options(client, options, &n_landmark_bytes);
    if (result == 0)
        result = send_open(client, options, n_landmark_bytes);
    if (result < 0)
        return result;
    const msgpack_object *answer = client->response.result;
    struct attnc_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        goto no_memory;
    stream->client = client;
    stream->on_output = options->on_output;
    stream->on_notice = options->on_notice;
    stream->ctx = options->ctx;
    if (answer->type != MSGPACK_OBJECT_MAP || !read_numbers(&stream->info, answer)) {
        attnc_stream_free(stream);
        return attnc_fail(&client->error, ATTNC_E_PROTOCOL,
                          "the daemon's answer to open lacks a number or has a wrong one");
    }
    stream->values = calloc(stream->info.output_dim, sizeof(float));
    if (!stream->values || read_labels(stream, answer) < 0 || enter(client, stream) < 0)
        goto no_memory;
    *out = stream;
    return 0;

no_memory:
    attnc_stream_free(stream);
    return attnc_fail(&client->error, ATTNC_E_MEMORY, "no memory for a stream");
}
