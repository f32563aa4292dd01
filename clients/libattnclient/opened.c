/* SPDX-License-Identifier: MIT */
/* What open and attach are answered with: the stream's description, and its place among the client's streams. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "libattnclient/client.h"
#include "libattnclient/error.h"
#include "libattnclient/field.h"
#include "protocol/limits.h"

#define MOST_FLOATS                                                                                                    \
    (64u * 1024 * 1024) /* of one frame or output that a daemon may claim: 256 MiB, beyond any message */

/* What a stream cannot do without. Returns the key of what is missing or wrong, NULL where nothing is. */
static const char *read_numbers(struct attnc_stream_info *info, const msgpack_object *map)
{
    uint64_t input_dim = 0, output_dim = 0, credit = 0;
    if (!attnc_field_number(map, "stream", UINT64_MAX, &info->stream))
        return "stream";
    if (!attnc_field_number(map, "input_dim", MOST_FLOATS, &input_dim) || input_dim == 0)
        return "input_dim";
    if (!attnc_field_number(map, "output_dim", MOST_FLOATS, &output_dim) || output_dim == 0)
        return "output_dim";
    if (!attnc_field_number(map, "credit", UINT32_MAX, &credit) || credit == 0)
        return "credit";
    if (!attnc_field_number(map, "next_frame", ATTNP_MAX_NUMBER, &info->next_frame))
        return "next_frame";
    info->input_dim = input_dim;
    info->output_dim = output_dim;
    info->credit = credit;
    info->settled = info->next_frame;
    return NULL;
}

/* What an older daemon may not tell stays zero. */
static void read_rest(struct attnc_stream_info *info, const msgpack_object *map)
{
    const msgpack_object *token = attnp_map_get(map, "token");
    if (token && token->type == MSGPACK_OBJECT_BIN && token->via.bin.size == sizeof(info->token))
        memcpy(info->token, token->via.bin.ptr, sizeof(info->token));
    attnc_field_number(map, "position", UINT64_MAX, &info->position);
    attnc_field_number(map, "replay_frames", UINT64_MAX, &info->replay_frames);
    attnc_field_number(map, "state_bytes", UINT64_MAX, &info->state_bytes);
    attnc_field_number(map, "warming_frames", UINT64_MAX, &info->warming_frames);
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
        stream->labels[i] = is_string ? strndup(attnp_text_of(label), label->via.str.size) : strdup("");
        if (!stream->labels[i])
            return -1;
        stream->info.n_labels = i + 1;
    }
    return 0;
}

/* Enters the stream into the client's table. A stream of the same number was taken over by this one, and is over. */
static int enter(struct attnc_client *client, struct attnc_stream *stream)
{
    struct attnc_stream *before = attnc_streams_find(&client->streams, stream->info.stream);
    if (attnc_streams_add(&client->streams, stream) < 0)
        return -1;
    if (before && !before->info.ended)
        attnc_stream_end(before, "superseded", "");
    return 0;
}

int attnc_stream_opened(struct attnc_client *client, struct attnc_stream **out, const struct attnc_listener *listener)
{
    const msgpack_object *answer = client->request.response.result;
    struct attnc_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        goto no_memory;
    stream->client = client;
    stream->listener = *listener;
    const char *missing = read_numbers(&stream->info, answer);
    if (missing) {
        attnc_stream_free(stream);
        return attnc_fail(&client->error, ATTNC_E_PROTOCOL,
                          "the daemon's description of the stream has no %s, or one that cannot be", missing);
    }
    read_rest(&stream->info, answer);
    stream->values = calloc(stream->info.output_dim, sizeof(float));
    if (!stream->values || read_labels(stream, answer) < 0 || enter(client, stream) < 0)
        goto no_memory;
    *out = stream;
    return 0;

no_memory:
    attnc_stream_free(stream);
    return attnc_fail(&client->error, ATTNC_E_MEMORY, "no memory for a stream");
}
