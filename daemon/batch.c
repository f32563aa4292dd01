/* SPDX-License-Identifier: MIT */
/*
 * A queue of streams, not of frames: a stream that has computed one frame and has another goes to the end, so a stream
 * with a full credit delays no other by more than one frame. No timer waits for a batch to fill. The idle handle keeps
 * the loop from blocking in its poll while anything is queued.
 */
#include "daemon/batch.h"

#include "daemon/connection.h"
#include "daemon/frames.h"
#include "daemon/orders.h"

void batch_add(struct shard *shard, struct stream *stream)
{
    if (stream->is_ready || attnp_sequence_waiting(&stream->sequence) == 0)
        return;
    TAILQ_INSERT_TAIL(&shard->ready, stream, ready);
    stream->is_ready = true;
    shard_stay_busy(shard);
}

void batch_remove(struct shard *shard, struct stream *stream)
{
    if (!stream->is_ready)
        return;
    TAILQ_REMOVE(&shard->ready, stream, ready);
    stream->is_ready = false;
    shard_stay_busy(shard);
}

static void count(struct shard *shard, struct stream *stream, const struct answer *answer, uint64_t took_ns)
{
    struct card *card = &stream->card;
    bool is_output = answer->kind == ANSWER_OUTPUT;
    counters_add(is_output ? &card->outputs : &card->refused, 1);
    counters_add(is_output ? &shard->counters.outputs : &shard->counters.refused, 1);
    counters_add(&card->computing_ns, took_ns);
    counters_add(&shard->counters.computing_ns, took_ns);
    counters_add(&shard->counters.lags[counters_lag_bucket(answer->lag_us)], 1);
    counters_set(&card->lag_us, answer->lag_us);
    counters_set(&card->settled, stream->sequence.settled);
    counters_set(&card->position, plan_applied(stream->state));
}

static void compute(struct shard *shard, struct stream *stream)
{
    uint64_t arrived_us = stream_arrived_us(stream), begun_ns = uv_hrtime();
    struct answer *answer = stream_step(stream, shard->scratch);
    uint64_t ended_ns = uv_hrtime();
    answer->lag_us = ended_ns / 1000 - arrived_us;
    count(shard, stream, answer, ended_ns - begun_ns);
    frames_answer(stream, answer);
    orders_run(shard, stream);
}

void batch_run(struct shard *shard)
{
    uint64_t until_us = shard_now_us() + BATCH_US;
    const struct stream *last = TAILQ_LAST(&shard->ready, ready_streams);
    bool was_last = last == NULL;
    if (!was_last)
        counters_add(&shard->counters.batches, 1);
    while (!was_last) {
        struct stream *stream = TAILQ_FIRST(&shard->ready);
        was_last = stream == last;
        batch_remove(shard, stream);
        if (connection_is_full(stream->holder)) {
            stream->holder->is_held = true;
            connection_stop_reading(stream->holder);
            continue;
        }
        compute(shard, stream);
        batch_add(shard, stream);
        was_last = was_last || shard_now_us() >= until_us;
    }
}
