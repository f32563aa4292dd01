/* SPDX-License-Identifier: MIT */
/*
 * A frame is late when its answer would leave more than deadline_us after the frame came. That is judged when its turn
 * comes, and not by a timer: until then it might still be in time, and afterwards it would have had its turn. A stream
 * that drops has all of its late frames dropped at that moment, so that its turn goes to the first frame that is worth
 * it.
 */
#include "daemon/deadline.h"

#include "daemon/answers.h"
#include "daemon/pending.h"

static bool is_late(const struct stream *stream, uint64_t answered_us)
{
    return stream->deadline_us != 0 && answered_us > stream_arrived_us(stream) + stream->deadline_us;
}

static bool drop(struct shard *shard, struct stream *stream, uint64_t answered_us)
{
    bool is_here = true;
    while (is_here && attnp_sequence_waiting(&stream->sequence) > 0 && is_late(stream, answered_us)) {
        const struct answer *answer = stream_drop(stream, stream_late);
        deadline_count(shard, stream, answer);
        answers_give(stream, answer);
        is_here = pending_run(shard, stream);
    }
    if (!is_here)
        return false;
    answers_name_unanswered(stream);
    return attnp_sequence_waiting(&stream->sequence) > 0;
}

bool deadline_settle(struct shard *shard, struct stream *stream, uint64_t now_us, uint64_t ahead_ns)
{
    uint64_t answered_us = now_us + ahead_ns / 1000;
    stream->skip = NULL;
    if (stream->sequence.settled < stream->answer_from)
        stream->skip = stream_replay;
    else if (stream->late == ATTNP_LATE_SKIP_OUTPUT && is_late(stream, answered_us))
        stream->skip = stream_late;
    else if (stream->late == ATTNP_LATE_DROP_OLDEST && is_late(stream, answered_us))
        return drop(shard, stream, answered_us);
    return true;
}

void deadline_count(struct shard *shard, struct stream *stream, const struct answer *answer)
{
    struct card *card = &stream->card;
    struct counters *counters = &shard->counters;
    struct traffic *traffic = stream->traffic;
    switch (answer->kind) {
    case ANSWER_OUTPUT:
        counters_add(&card->outputs, 1);
        counters_add(&counters->outputs, 1);
        traffic_output(traffic, answer->lag_us);
        if (stream->deadline_us != 0 && answer->lag_us > stream->deadline_us) {
            counters_add(&card->missed, 1);
            counters_add(&counters->missed, 1);
            counters_add(&traffic->missed, 1);
        }
        break;
    case ANSWER_BAD_FRAME:
        counters_add(&card->refused, 1);
        counters_add(&counters->refused, 1);
        counters_add(&traffic->refused, 1);
        break;
    case ANSWER_DROPPED:
        counters_add(&card->dropped, 1);
        counters_add(&counters->dropped, 1);
        counters_add(&traffic->dropped, 1);
        break;
    case ANSWER_SKIPPED:
        counters_add(&card->skipped, 1);
        counters_add(&counters->skipped, 1);
        counters_add(&traffic->skipped, 1);
        break;
    }
    counters_set(&card->settled, stream->sequence.settled);
    counters_set(&card->oldest_us, stream_oldest_us(stream));
    counters_set(&card->position, plan_position(stream->state));
}
