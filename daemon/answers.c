/* SPDX-License-Identifier: MIT */
#include "daemon/answers.h"

#include <string.h>

#include "daemon/batch.h"
#include "daemon/idle.h"
#include "daemon/reply.h"

static void tell(struct stream *stream, const struct answer *answer);

static void refuse(struct stream *stream, struct attnp_error *error)
{
    error->has_stream = true;
    error->stream = stream->card.number;
    reply_notify_error(stream->holder, error);
}

static void expect(struct stream *stream, struct attnp_error *error)
{
    error->has_expected = true;
    error->expected = stream->sequence.next;
    refuse(stream, error);
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
               (uintmax_t)number, attnp_sequence_waiting(&stream->sequence), (uintmax_t)stream->sequence.next);
    error.has_frame = true;
    error.frame = number;
    expect(stream, &error);
}

/* One frame of a push. False where the rest of the push counts as never sent. */
static bool take_frame(struct stream *stream, uint64_t number, const uint8_t *frame, uint64_t now_us,
                       struct attnp_time time)
{
    struct shard *shard = stream->holder->shard;
    switch (attnp_sequence_frame(&stream->sequence, number)) {
    case ATTNP_TAKE:
        stream_put(stream, number, frame, now_us, time);
        counters_add(&stream->card.frames, 1);
        counters_add(&shard->counters.frames, 1);
        counters_add(&stream->traffic->frames, 1);
        return true;
    case ATTNP_ANSWER_AGAIN:
        counters_add(&shard->counters.repeated, 1);
        answers_name_unanswered(stream);
        tell(stream, stream_answer(stream, number));
        return true;
    case ATTNP_WAITS:
        return true;
    case ATTNP_REFUSE_OLD: /* answers_push has left these out */
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

int answers_push(struct connection *connection, const uint8_t *body, size_t n_body, struct attnp_error *error)
{
    struct attnp_push push;
    if (attnp_push_read(&push, body, n_body, error) != 0)
        return -1;
    struct stream *stream = connection_stream(connection, push.stream);
    if (stream == NULL && connection_has_lost(connection, push.stream))
        return 0;
    if (stream == NULL) {
        attnp_fail(error, ATTNP_UNKNOWN_STREAM, "this connection holds no stream %ju; open one first",
                   (uintmax_t)push.stream);
        error->has_stream = true;
        error->stream = push.stream;
        reply_notify_error(connection, error);
        return 0;
    }
    uint64_t now_us = shard_now_us();
    idle_active(connection->shard, stream, now_us);
    if (!attnp_sequence_begin(&stream->sequence, push.first))
        return 0;
    if (push.n_bytes == 0 || push.n_bytes % stream->frame_bytes != 0) {
        refuse_bin(stream, &push);
        return 0;
    }
    counters_add(&stream->card.bytes_in, ATTNP_LENGTH_BYTES + n_body);
    size_t n_frames = push.n_bytes / stream->frame_bytes;
    size_t n_old = attnp_sequence_too_old(&stream->sequence, push.first, n_frames);
    if (n_old > 0)
        refuse_old(stream, push.first, n_old);
    for (size_t i = n_old; i < n_frames; i++)
        if (!take_frame(stream, push.first + i, push.frames + i * stream->frame_bytes, now_us, push.time))
            break;
    counters_set(&stream->card.next_frame, stream->sequence.next);
    counters_set(&stream->card.oldest_us, stream_oldest_us(stream));
    batch_add(connection->shard, stream);
    return 0;
}

static void answer_output(struct stream *stream, const struct answer *answer)
{
    const struct attnp_output output = {
        .stream = stream->card.number,
        .first = answer->number,
        .outputs = stream_output(stream, answer),
        .n_bytes = stream->output_bytes,
        .position = answer->position,
        .lag_us = answer->lag_us,
        .warming = answer->warming,
        .time = answer->time,
    };
    size_t n_bytes = attnp_output_bytes(&output);
    uint8_t *place = connection_add(stream->holder, n_bytes);
    if (place != NULL) {
        attnp_output_write(place, &output, NULL);
        connection_added(stream->holder, n_bytes);
        counters_add(&stream->card.bytes_out, n_bytes);
    }
}

static void refuse_value(struct stream *stream, const struct answer *answer)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_BAD_FRAME,
               "float %u of frame %ju is NaN or infinite; the frame is not applied, the stream goes on with the next",
               answer->bad_index, (uintmax_t)answer->number);
    error.has_frame = true;
    error.frame = answer->number;
    refuse(stream, &error);
}

static void tell(struct stream *stream, const struct answer *answer)
{
    const struct unnamed one = {answer->kind, answer->reason, answer->number, 1};
    if (stream->holder == NULL)
        return;
    if (answer->kind == ANSWER_OUTPUT)
        answer_output(stream, answer);
    else if (answer->kind == ANSWER_BAD_FRAME)
        refuse_value(stream, answer);
    else
        reply_event_unanswered(stream->holder, stream->card.number, &one);
}

void answers_name_unanswered(struct stream *stream)
{
    reply_event_unanswered(stream->holder, stream->card.number, &stream->unnamed);
    stream->unnamed.count = 0;
}

/* A replay is named when half the credit is unsettled, for its client has nothing else to wait for; what is late, once
 * nothing more waits. */
static void gather(struct stream *stream, const struct answer *answer)
{
    struct unnamed *unnamed = &stream->unnamed;
    if (unnamed->count > 0 && (unnamed->kind != answer->kind || unnamed->reason != answer->reason))
        answers_name_unanswered(stream);
    if (unnamed->count == 0)
        *unnamed = (struct unnamed){answer->kind, answer->reason, answer->number, 0};
    unnamed->count++;
    bool nothing_waits = attnp_sequence_waiting(&stream->sequence) == 0;
    if (2 * unnamed->count >= stream->card.credit || (answer->reason != stream_replay && nothing_waits))
        answers_name_unanswered(stream);
}

void answers_give(struct stream *stream, const struct answer *answer)
{
    if (answer->kind == ANSWER_DROPPED || answer->kind == ANSWER_SKIPPED) {
        gather(stream, answer);
        return;
    }
    answers_name_unanswered(stream);
    tell(stream, answer);
}

size_t answers_push_bytes(size_t frame_bytes)
{
    const struct attnp_push push = {
        .stream = UINT64_MAX, .first = UINT64_MAX, .n_bytes = frame_bytes, .time = {.n_bytes = 9}};
    return attnp_push_bytes(&push);
}

size_t answers_bytes(size_t output_bytes)
{
    const struct attnp_output output = {
        .stream = UINT64_MAX,
        .first = UINT64_MAX,
        .n_bytes = output_bytes,
        .position = UINT64_MAX,
        .lag_us = UINT64_MAX,
        .warming = UINT32_MAX,
        .time = {.n_bytes = 9},
    };
    return attnp_output_bytes(&output);
}
