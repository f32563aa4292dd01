/* SPDX-License-Identifier: MIT */
#include "daemon/pushes.h"

#include <assert.h>

#include "daemon/answers.h"
#include "daemon/idle.h"
#include "daemon/ready.h"
#include "daemon/stream.h"

static void expect(struct stream *stream, struct attnp_error *error)
{
    error->has_expected = true;
    error->expected = stream->sequence.next;
    error->has_stream = true;
    error->stream = stream->card.number;
    reply_notify_error(stream->held.by, error);
}

static void refuse_bin(struct stream *stream, const struct attnp_push *push)
{
    struct attnp_error error;
    attnp_sequence_bad_bin(&stream->sequence);
    attnp_fail(&error, ATTNP_BAD_FRAME,
               "the bin has %zu bytes, and a frame of this stream %zu (%u float32); push whole frames, from %ju on",
               push->n_bytes, stream->frame_bytes, stream->card.input_dim, (uintmax_t)stream->sequence.next);
    expect(stream, &error);
}

/* All of a push by one error: a frame is a few bytes, an error two hundred. */
static void refuse_old(struct stream *stream, uint64_t first, uint64_t count)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_TOO_OLD,
               "%ju frames from %ju on were settled, and only the newest %u answers are kept; go on with %ju",
               (uintmax_t)count, (uintmax_t)first, stream->card.credit, (uintmax_t)stream->sequence.next);
    error.has_frame = error.has_count = true;
    error.frame = first;
    error.count = count;
    expect(stream, &error);
}

static void refuse_gap(struct stream *stream, uint64_t number)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_FRAME_GAP, "frame %ju came where %ju was expected; push the frames from %ju on",
               (uintmax_t)number, (uintmax_t)stream->sequence.next, (uintmax_t)stream->sequence.next);
    error.has_frame = true;
    error.frame = number;
    expect(stream, &error);
}

static void refuse_excess(struct stream *stream, uint64_t number)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_CREDIT_EXCEEDED,
               "frame %ju exceeds the credit: %u frames wait already; wait for outputs, then push from %ju on",
               (uintmax_t)number, stream_waiting(stream), (uintmax_t)stream->sequence.next);
    error.has_frame = true;
    error.frame = number;
    expect(stream, &error);
}

/* One frame of a push. False where the rest of the push counts as never sent. */
static bool take_frame(struct stream *stream, uint64_t number, const uint8_t *frame, uint64_t now_us,
                       struct attnp_time time)
{
    switch (stream_take(stream, number, frame, now_us, time)) {
    case ATTNP_TAKE:
        traffic_frames(stream->traffic, 1);
        return true;
    case ATTNP_ANSWER_AGAIN:
        counters_add(&stream->held.by->shard->counters.repeated, 1);
        answers_repeat(stream, stream_answer(stream, number));
        return true;
    case ATTNP_WAITS:
    case ATTNP_REFUSE_OLD: /* take_frames has left these out */
        return true;
    case ATTNP_REFUSE_GAP:
        refuse_gap(stream, number);
        return false;
    case ATTNP_REFUSE_CREDIT:
        refuse_excess(stream, number);
        return false;
    }
    return false;
}

static void take_frames(struct stream *stream, const struct attnp_push *push, uint64_t now_us)
{
    size_t n_frames = push->n_bytes / stream->frame_bytes;
    size_t n_old = attnp_sequence_too_old(&stream->sequence, push->first, n_frames);
    if (n_old > 0)
        refuse_old(stream, push->first, n_old);
    for (size_t i = n_old; i < n_frames; i++)
        if (!take_frame(stream, push->first + i, push->frames + i * stream->frame_bytes, now_us, push->time))
            break;
}

/* A client that lost the stream lately may not know it yet. */
static void refuse_stream(struct connection *connection, uint64_t number)
{
    struct attnp_error error;
    if (connection_has_lost(connection, number))
        return;
    attnp_fail(&error, ATTNP_UNKNOWN_STREAM, "this connection holds no stream %ju; open one first", (uintmax_t)number);
    error.has_stream = true;
    error.stream = number;
    reply_notify_error(connection, &error);
}

int pushes_take(struct connection *connection, const uint8_t *body, size_t n_body, struct attnp_error *error)
{
    struct attnp_push push;
    if (attnp_push_read(&push, body, n_body, error) != 0)
        return -1;
    struct held *held = connection_held(connection, push.stream);
    if (held == NULL) {
        refuse_stream(connection, push.stream);
        return 0;
    }
    struct stream *stream = stream_of_held(held);
    assert(shard_is_own_thread(connection->shard) && held->by == connection);
    uint64_t now_us = shard_now_us();
    idle_active(connection->shard, stream, now_us);
    if (!attnp_sequence_begin(&stream->sequence, push.first))
        return 0;
    if (push.n_bytes == 0 || push.n_bytes % stream->frame_bytes != 0) {
        refuse_bin(stream, &push);
        return 0;
    }
    counters_add(&stream->card.bytes_in, ATTNP_LENGTH_BYTES + n_body);
    take_frames(stream, &push, now_us);
    ready_add(connection->shard, stream);
    return 0;
}

size_t pushes_bytes(size_t frame_bytes)
{
    const struct attnp_push push = {
        .stream = UINT64_MAX, .first = UINT64_MAX, .n_bytes = frame_bytes, .time = {.n_bytes = 9}};
    return attnp_push_bytes(&push);
}
