/* SPDX-License-Identifier: MIT */
#include "daemon/answers.h"

#include <assert.h>

#include "daemon/reply.h"

static void tell_output(struct stream *stream, const struct answer *answer)
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
    uint8_t *place = connection_add(stream->held.by, n_bytes);
    if (place != NULL) {
        attnp_output_write(place, &output, NULL);
        connection_added(stream->held.by, n_bytes);
        counters_add(&stream->card.bytes_out, n_bytes);
    }
}

static void tell_bad_frame(struct stream *stream, const struct answer *answer)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_BAD_FRAME,
               "float %u of frame %ju is NaN or infinite; the frame is not applied, the stream goes on with the next",
               answer->bad_index, (uintmax_t)answer->number);
    error.has_frame = error.has_stream = true;
    error.frame = answer->number;
    error.stream = stream->card.number;
    reply_notify_error(stream->held.by, &error);
}

static void tell(struct stream *stream, const struct answer *answer)
{
    const struct unanswered one = {answer->kind == ANSWER_SKIPPED, answer->reason, answer->number, 1};
    assert(stream->unanswered.unnamed.count == 0); /* what was gathered is named first */
    if (stream->held.by == NULL)
        return;
    if (answer->kind == ANSWER_OUTPUT)
        tell_output(stream, answer);
    else if (answer->kind == ANSWER_BAD_FRAME)
        tell_bad_frame(stream, answer);
    else
        reply_event_unanswered(stream->held.by, stream->card.number, &one);
}

void answers_name_unanswered(struct stream *stream)
{
    reply_event_unanswered(stream->held.by, stream->card.number, &stream->unanswered.unnamed);
    answers_forget_unanswered(stream);
}

void answers_forget_unanswered(struct stream *stream)
{
    stream->unanswered.unnamed.count = 0;
}

/* A replay is named when half the credit is unsettled, for its client has nothing else to wait for; what is late or not
 * finite, once nothing more waits. */
static void gather(struct stream *stream, const struct answer *answer)
{
    struct unanswered *unnamed = &stream->unanswered.unnamed;
    bool was_applied = answer->kind == ANSWER_SKIPPED;
    assert(answer->reason != NULL);
    if (unnamed->count > 0 && (unnamed->was_applied != was_applied || unnamed->reason != answer->reason))
        answers_name_unanswered(stream);
    if (unnamed->count == 0)
        *unnamed = (struct unanswered){was_applied, answer->reason, answer->number, 0};
    assert(unnamed->first + unnamed->count == answer->number); /* in a row */
    unnamed->count++;
    bool nothing_waits = stream_waiting(stream) == 0;
    if (2 * unnamed->count >= stream->card.credit || (answer->reason != stream_replay && nothing_waits))
        answers_name_unanswered(stream);
}

static void give(struct stream *stream, const struct answer *answer)
{
    if (answer->kind == ANSWER_DROPPED || answer->kind == ANSWER_SKIPPED) {
        gather(stream, answer);
        return;
    }
    answers_name_unanswered(stream);
    tell(stream, answer);
}

static void count_output(struct stream *stream, uint64_t lag_us)
{
    bool is_missed = stream->deadline.after_us != 0 && lag_us > stream->deadline.after_us;
    counters_add(&stream->card.outputs, 1);
    counters_add(&stream->card.missed, is_missed);
    traffic_output(stream->traffic, lag_us, is_missed);
}

static void count(struct stream *stream, const struct answer *answer)
{
    assert(answer->number + 1 == stream->sequence.settled); /* once, as soon as its frame is settled */
    switch (answer->kind) {
    case ANSWER_OUTPUT:
        count_output(stream, answer->lag_us);
        break;
    case ANSWER_BAD_FRAME:
        counters_add(&stream->card.refused, 1);
        traffic_refused(stream->traffic);
        break;
    case ANSWER_DROPPED:
        counters_add(&stream->card.dropped, 1);
        traffic_dropped(stream->traffic, 1);
        break;
    case ANSWER_SKIPPED:
        counters_add(&stream->card.skipped, 1);
        traffic_skipped(stream->traffic);
        break;
    }
}

void answers_computed(struct stream *stream, const struct answer *answer, uint64_t took_ns)
{
    assert(answer->kind != ANSWER_DROPPED);
    count(stream, answer);
    counters_add(&stream->card.computing_ns, took_ns);
    counters_set(&stream->card.lag_us, answer->lag_us);
    give(stream, answer);
}

void answers_drop(struct stream *stream, const char *reason)
{
    const struct answer *answer = stream_drop(stream, reason);
    count(stream, answer);
    give(stream, answer);
}

void answers_drop_all(struct stream *stream, const char *reason)
{
    const struct unanswered waiting = {false, reason, stream->sequence.settled, stream_waiting(stream)};
    answers_name_unanswered(stream);
    reply_event_unanswered(stream->held.by, stream->card.number, &waiting);
    counters_add(&stream->card.dropped, waiting.count);
    traffic_dropped(stream->traffic, waiting.count);
}

void answers_repeat(struct stream *stream, const struct answer *answer)
{
    answers_name_unanswered(stream);
    tell(stream, answer);
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
