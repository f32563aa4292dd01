/* SPDX-License-Identifier: MIT */
/* What comes from the daemon, sorted: outputs to their stream, the response to who waits for it, notices to the
 * callbacks. */
#include "config.h"

#include <string.h>

#include "libattnclient/client.h"
#include "libattnclient/error.h"
#include "libattnclient/field.h"
#include "protocol/push.h"

#define TEXT_BYTES 256 /* of an event's name or reason; what an operator says has at most 120 */

/* Frames settle in the order of their numbers, so one number says it all. Answers that come again change nothing. */
static bool settle(struct attnc_stream *stream, uint64_t first, uint64_t count, bool applied)
{
    struct attnc_stream_info *info = &stream->info;
    struct attnc_client *client = stream->client;
    uint64_t end = first + count;
    if (end <= info->settled || end > info->next_frame)
        return false;
    info->position += applied ? end - info->settled : 0;
    info->settled = end;
    if (end == stream->resumed_frame)
        info->position = stream->resumed_position;
    if (client->awaited == stream)
        attnc_connection_restart(&client->connection);
    return true;
}

/* Nobody can answer what was not asked, here or before the stream was attached. */
static int check_pushed(struct attnc_stream *stream, uint64_t first, uint64_t count)
{
    const uint64_t own = stream->info.next_frame, next = own > stream->resumed_frame ? own : stream->resumed_frame;
    if (first <= next && count <= next - first)
        return 0;
    return attnc_fail(&stream->client->error, ATTNC_E_PROTOCOL,
                      "the daemon answered %llu frames from frame %llu on, but only the frames below %llu were pushed",
                      (unsigned long long)count, (unsigned long long)first, (unsigned long long)next);
}

static int take_output(struct attnc_client *client, const uint8_t *body, size_t n_body)
{
    struct attnp_output wire;
    struct attnp_error error;
    if (attnp_output_read(&wire, body, n_body, &error) < 0)
        return attnc_fail_wire(&client->error, ATTNC_E_PROTOCOL, &error);
    struct attnc_stream *stream = attnc_streams_find(&client->streams, wire.stream);
    if (!stream)
        return 0; /* closed here while it was on its way */
    size_t output_bytes = stream->info.output_dim * sizeof(float);
    if (wire.n_bytes == 0 || wire.n_bytes % output_bytes != 0)
        return attnc_fail(&client->error, ATTNC_E_PROTOCOL,
                          "the daemon sent an output of %zu bytes, which is no multiple of %zu", wire.n_bytes,
                          output_bytes);
    uint64_t k = wire.n_bytes / output_bytes;
    if (check_pushed(stream, wire.first, k) < 0)
        return ATTNC_E_PROTOCOL;
    if (settle(stream, wire.first, k, true))
        stream->info.position = wire.position + k;
    uint64_t began_ms = client->connection.deadline ? attnc_connection_now_ms() : 0;
    for (uint64_t i = 0; i < k && stream->listener.on_output; i++) {
        memcpy(stream->values, wire.outputs + i * output_bytes, output_bytes);
        const struct attnc_output output = {
            .stream = stream,
            .frame = wire.first + i,
            .position = wire.position + i,
            .lag_us = wire.lag_us,
            .warming = i < wire.warming,
            .n_values = stream->info.output_dim,
            .values = stream->values,
        };
        stream->listener.on_output(stream->listener.ctx, &output);
    }
    attnc_connection_excuse(&client->connection, began_ms);
    return 0;
}

static void tell(struct attnc_client *client, const struct attnc_notice *notice)
{
    uint64_t began_ms = client->connection.deadline ? attnc_connection_now_ms() : 0;
    if (notice->stream && notice->stream->listener.on_notice)
        notice->stream->listener.on_notice(notice->stream->listener.ctx, notice);
    else if (client->on_notice)
        client->on_notice(client->ctx, notice);
    attnc_connection_excuse(&client->connection, began_ms);
}

/* An error that answers no request: it refuses a frame, or turns frames away, or announces the end of stream or
 * connection. */
static int take_error(struct attnc_client *client, const msgpack_object *params)
{
    struct attnp_error wire;
    if (attnp_error_read(params, &wire) < 0)
        return attnc_fail(&client->error, ATTNC_E_PROTOCOL, "the daemon sent an error that cannot be read");
    struct attnc_stream *stream = wire.has_stream ? attnc_streams_find(&client->streams, wire.stream) : NULL;
    struct attnc_notice notice = {
        .what = "error", .stream = stream, .name = attnp_error_name(wire.code), .text = wire.text};
    enum attnp_ends ends = attnp_error_ends(wire.code);
    if (!wire.has_stream || ends == ATTNP_ENDS_CONNECTION)
        attnc_fail_wire(&client->connection.farewell, ATTNC_E_CLOSED, &wire);
    if (stream && ends == ATTNP_ENDS_STREAM) {
        stream->info.ended = true;
        attnc_fail_wire(&stream->why, ATTNC_E_CLOSED, &wire);
    } else if (stream && wire.has_expected) {
        if (wire.expected < stream->info.settled)
            return attnc_fail(&client->error, ATTNC_E_PROTOCOL,
                              "the daemon expects frame %llu, but has settled all below %llu",
                              (unsigned long long)wire.expected, (unsigned long long)stream->info.settled);
        if (wire.expected < stream->info.next_frame)
            stream->info.next_frame = wire.expected;
        stream->rewound = true;
        attnc_fail_wire(&stream->why, ATTNC_E_REFUSED, &wire);
    } else if (stream && wire.has_frame) {
        if (check_pushed(stream, wire.frame, 1) < 0)
            return ATTNC_E_PROTOCOL;
        notice.first = wire.frame;
        notice.count = 1;
        settle(stream, wire.frame, 1, false);
    }
    tell(client, &notice);
    return 0;
}

static int take_event(struct attnc_client *client, const msgpack_object *params)
{
    char what[TEXT_BYTES], reason[TEXT_BYTES], message[TEXT_BYTES];
    if (params->type != MSGPACK_OBJECT_MAP)
        return attnc_fail(&client->error, ATTNC_E_PROTOCOL, "the daemon sent an event that cannot be read");
    attnc_field_text(params, "event", what, sizeof(what));
    attnc_field_text(params, "reason", reason, sizeof(reason));
    attnc_field_text(params, "message", message, sizeof(message));
    struct attnc_stream *stream = attnc_streams_find(&client->streams, attnc_field_number_or_0(params, "stream"));
    struct attnc_notice notice = {.what = what, .stream = stream, .name = reason, .text = message};
    bool dropped = strcmp(what, "dropped") == 0;
    if (dropped || strcmp(what, "skipped") == 0) {
        notice.first = attnc_field_number_or_0(params, "first");
        notice.count = attnc_field_number_or_0(params, "count");
        if (stream && check_pushed(stream, notice.first, notice.count) < 0)
            return ATTNC_E_PROTOCOL;
        if (stream)
            settle(stream, notice.first, notice.count, !dropped);
    } else if (strcmp(what, "reset") == 0) {
        notice.next_frame = attnc_field_number_or_0(params, "next_frame");
        if (stream)
            stream->info.position = 0;
    } else if (strcmp(what, "idle") == 0) {
        notice.left_ms = attnc_field_number_or_0(params, "expires_ms");
    } else if (strcmp(what, "drain") == 0) {
        notice.left_ms = attnc_field_number_or_0(params, "deadline_ms");
    } else if (stream && (strcmp(what, "ended") == 0 || strcmp(what, "superseded") == 0)) {
        attnc_stream_end(stream, reason[0] ? reason : what, message);
    }
    tell(client, &notice);
    return 0;
}

int attnc_dispatch(void *ctx, const uint8_t *body, size_t n_body)
{
    struct attnc_client *client = ctx;
    struct attnp_message message;
    struct attnp_error wire;
    bool id_known;
    int result = 0;
    if (attnp_is_output(body, n_body))
        return take_output(client, body, n_body);
    if (attnp_message_read(&message, body, n_body, &id_known, &wire) < 0)
        return attnc_fail_wire(&client->error, ATTNC_E_PROTOCOL, &wire);
    if (message.kind == ATTNP_RESPONSE)
        result = attnc_request_answer(client, &message, body, n_body);
    else if (message.kind == ATTNP_NOTIFICATION && message.method == ATTNP_M_ERROR)
        result = take_error(client, message.params);
    else if (message.kind == ATTNP_NOTIFICATION && message.method == ATTNP_M_EVENT)
        result = take_event(client, message.params);
    attnp_message_done(&message);
    return result;
}
