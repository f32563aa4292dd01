/* SPDX-License-Identifier: MIT */
/* The life of an open stream: frames within its credit, and the requests that name it. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libattnclient/client.h"
#include "libattnclient/error.h"
#include "protocol/limits.h"
#include "protocol/push.h"

#define ENVELOPE_BYTES 64 /* most that a push has besides its frames: 45 bytes, rounded up */

const struct attnc_stream_info *attnc_stream_info(const struct attnc_stream *stream)
{
    return &stream->info;
}

void attnc_stream_free(struct attnc_stream *stream)
{
    if (!stream)
        return;
    for (uint32_t i = 0; i < stream->info.n_labels; i++)
        free(stream->labels[i]);
    free(stream->labels);
    free(stream->values);
    free(stream);
}

void attnc_stream_leave(struct attnc_stream *stream)
{
    attnc_streams_remove(&stream->client->streams, stream);
    attnc_stream_free(stream);
}

/* Whether the daemon still goes along with the stream as the caller knows it. */
static int check_stream(struct attnc_stream *stream)
{
    if (!stream->info.ended && !stream->rewound)
        return 0;
    stream->rewound = false;
    stream->client->error = stream->why;
    return stream->why.result;
}

/* What is known of a reason: what happened, and what to do. */
struct ending {
    const char *reason, *cause, *advice;
};

static const struct ending *find_ending(const char *reason)
{
    static const struct ending endings[] = {
        {"superseded", "another connection took it over", "what is pushed here is ignored"},
        {"idle", "nothing came for as long as the daemon lets a stream idle", "open it anew when there is more"},
        {"closed", "another connection closed it", "open it anew to go on"},
        {"killed", "an operator ended it", "ask before opening it anew"},
    };
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strcmp(reason, endings[i].reason) == 0)
            return &endings[i];
    return NULL;
}

void attnc_stream_end(struct attnc_stream *stream, const char *reason, const char *message)
{
    const struct ending *ending = find_ending(reason);
    const char *open = message[0] ? " (" : "", *close = message[0] ? ")" : "";
    stream->info.ended = true;
    attnc_fail(&stream->why, ATTNC_E_CLOSED, "the daemon ended the stream: %s%s%s%s; %s",
               ending ? ending->cause : reason, open, message, close,
               ending ? ending->advice : "open it anew to go on");
    if (ending)
        snprintf(stream->why.name, sizeof(stream->why.name), "%s", ending->reason);
}

static uint64_t credit_left(const struct attnc_stream *stream)
{
    uint64_t unsettled = stream->info.next_frame - stream->info.settled;
    return unsettled < stream->info.credit ? stream->info.credit - unsettled : 0;
}

/* How many of k frames the next message takes: what the credit and the longest message allow. */
static size_t frames_to_send(const struct attnc_stream *stream, size_t k)
{
    size_t frame_bytes = stream->info.input_dim * sizeof(float);
    size_t most = (stream->client->max_message - ENVELOPE_BYTES) / frame_bytes;
    uint64_t credit = credit_left(stream);
    most = most < credit ? most : credit;
    return k < most ? k : most;
}

/* Makes room for a message of n bytes, kept for the next one. */
static int reserve(struct attnc_client *client, size_t n)
{
    if (n <= client->push_capacity)
        return 0;
    uint8_t *bytes = realloc(client->push_bytes, n);
    if (!bytes)
        return attnc_fail(&client->error, ATTNC_E_MEMORY, "no memory for a message of %zu bytes", n);
    client->push_bytes = bytes;
    client->push_capacity = n;
    return 0;
}

static int send_frames(struct attnc_stream *stream, const float *frames, size_t k)
{
    struct attnc_client *client = stream->client;
    struct attnp_push push = {
        .stream = stream->info.stream,
        .first = stream->info.next_frame,
        .frames = (const uint8_t *)frames,
        .n_bytes = k * stream->info.input_dim * sizeof(float),
    };
    int result = reserve(client, attnp_push_bytes(&push));
    if (result < 0)
        return result;
    stream->info.next_frame += k;
    return attnc_connection_send(&client->connection, client->push_bytes, attnp_push_write(client->push_bytes, &push));
}

static int push_all(struct attnc_stream *stream, const float *frames, size_t k)
{
    while (k > 0) {
        int result = check_stream(stream);
        size_t n = frames_to_send(stream, k);
        if (result == 0 && n > 0)
            result = send_frames(stream, frames, n);
        else if (result == 0)
            result = attnc_connection_receive(&stream->client->connection, -1);
        if (result < 0)
            return result;
        frames += n * stream->info.input_dim;
        k -= n;
    }
    return check_stream(stream);
}

int attnc_push(struct attnc_stream *stream, const float *frames, size_t k)
{
    struct attnc_client *client = stream->client;
    size_t frame_bytes = stream->info.input_dim * sizeof(float);
    if (frame_bytes + ENVELOPE_BYTES > client->max_message)
        return attnc_fail(&client->error, ATTNC_E_OPTIONS,
                          "a frame of %zu bytes does not fit the daemon's longest message, %zu bytes", frame_bytes,
                          client->max_message);
    client->awaited = stream;
    attnc_connection_limit(&client->connection, client->call_ms, "output");
    int result = push_all(stream, frames, k);
    attnc_connection_limit(&client->connection, 0, NULL);
    client->awaited = NULL;
    return result;
}

static int request(struct attnc_stream *stream, enum attnp_method method)
{
    struct attnp_writer *writer = attnc_request_begin(stream->client, method);
    attnp_write_map(writer, 1);
    attnp_put_uint(writer, "stream", stream->info.stream);
    stream->client->awaited = stream; /* the frames pushed before are answered first */
    int result = attnc_request_end(stream->client);
    stream->client->awaited = NULL;
    return result;
}

/* The same, where the stream goes on: if it ended meanwhile, that is why the daemon refused. */
static int request_of(struct attnc_stream *stream, enum attnp_method method)
{
    int result = check_stream(stream);
    if (result == 0)
        result = request(stream, method);
    return result == ATTNC_E_REFUSED && stream->info.ended ? check_stream(stream) : result;
}

int attnc_finish(struct attnc_stream *stream)
{
    int result = request_of(stream, ATTNP_M_FINISH);
    if (result == 0)
        result = check_stream(stream);
    if (result < 0)
        return result;
    uint64_t unsettled = stream->info.next_frame - stream->info.settled;
    if (unsettled > 0)
        return attnc_fail(&stream->client->error, ATTNC_E_PROTOCOL,
                          "the daemon says that it is finished, but %llu frames have no answer",
                          (unsigned long long)unsettled);
    return 0;
}

int attnc_reset(struct attnc_stream *stream)
{
    int result = request_of(stream, ATTNP_M_RESET);
    if (result == 0)
        stream->info.position = 0;
    return result;
}

int attnc_close_stream(struct attnc_stream *stream)
{
    int result = stream->info.ended ? 0 : request(stream, ATTNP_M_CLOSE);
    if (result == ATTNC_E_REFUSED && stream->info.ended)
        result = 0; /* others were faster */
    attnc_stream_leave(stream);
    return result;
}
