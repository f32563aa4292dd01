/* SPDX-License-Identifier: MIT */
/*
 * A queue of streams, not of frames: a stream that has computed one frame and has another goes to the end, so a stream
 * with a full credit delays no other by more than one frame. No timer waits for a batch to fill. The idle handle keeps
 * the loop from blocking in its poll while anything is queued.
 *
 * Streams of one model that wait at the same time are computed together, for its weights are then read once; which of
 * them stand together changes no bit of an output. A raw attention has no weights, and is computed alone.
 */
#include "daemon/batch.h"

#include "daemon/connection.h"
#include "daemon/frames.h"
#include "daemon/late.h"
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
    late_count(shard, stream, answer);
    counters_add(&card->computing_ns, took_ns);
    counters_add(&shard->counters.computing_ns, took_ns);
    counters_set(&card->lag_us, answer->lag_us);
}

/* Streams of one plan whose frames are computed together. */
struct group {
    struct stream *streams[PLAN_MOST_AT_ONCE];
    size_t n;
};

/* How many frames like this stream's newest fit what is left of the batch's time. */
static size_t room(const struct stream *stream, uint64_t until_us)
{
    uint64_t now_us = shard_now_us();
    if (model_is_attention(stream->model) || stream->step_ns == 0 || now_us >= until_us)
        return 1;
    uint64_t in_time = (until_us - now_us) * 1000 / stream->step_ns;
    if (in_time == 0)
        return 1;
    return in_time < PLAN_MOST_AT_ONCE ? (size_t)in_time : PLAN_MOST_AT_ONCE;
}

/* Takes a stream out of the queue, and into the group unless its client reads nothing. */
static void take(struct shard *shard, struct group *group, struct stream *stream)
{
    batch_remove(shard, stream);
    if (stream->holder == NULL || !connection_is_full(stream->holder)) {
        if (late_settle(shard, stream, shard_now_us(), stream->step_ns))
            group->streams[group->n++] = stream;
        return;
    }
    stream->holder->is_held = true;
    connection_stop_reading(stream->holder);
}

/* Takes the first stream, and those of its model behind it that had no turn in this batch yet. Their outputs may all be
 * for one client that reads nothing, so together they are no more than what may wait for one. */
static void gather(struct shard *shard, struct group *group, uint64_t until_us)
{
    struct stream *stream = TAILQ_FIRST(&shard->ready), *next;
    const struct plan *plan = stream->plan;
    uint64_t n_bytes = 0, most_bytes = config_number(shard->shared->config, CONFIG_limits_unsent_bytes);
    size_t most = room(stream, until_us);
    group->n = 0;
    for (size_t looked = 0; looked < BATCH_LOOK && group->n < most; looked++, stream = next) {
        if (stream == NULL || stream->turn == shard->turn)
            break;
        next = TAILQ_NEXT(stream, ready);
        if (stream->plan != plan)
            continue;
        n_bytes += frames_output_bytes(stream->output_bytes);
        if (group->n > 0 && n_bytes > most_bytes)
            break;
        take(shard, group, stream);
    }
}

static void compute(struct shard *shard, const struct group *group)
{
    struct answer *answers[PLAN_MOST_AT_ONCE];
    uint64_t arrived_us[PLAN_MOST_AT_ONCE], begun_ns = uv_hrtime();
    for (size_t i = 0; i < group->n; i++)
        arrived_us[i] = stream_arrived_us(group->streams[i]);
    stream_step(group->streams, group->n, answers, shard->scratch);
    uint64_t ended_ns = uv_hrtime(), each_ns = (ended_ns - begun_ns) / group->n;
    traffic_batch(group->streams[0]->traffic, group->n, ended_ns - begun_ns);
    for (size_t i = 0; i < group->n; i++) {
        struct stream *stream = group->streams[i];
        stream->step_ns = each_ns;
        stream->turn = shard->turn;
        answers[i]->lag_us = ended_ns / 1000 - arrived_us[i];
        count(shard, stream, answers[i], each_ns);
        frames_answer(stream, answers[i]);
        if (orders_run(shard, stream))
            batch_add(shard, stream);
    }
}

void batch_run(struct shard *shard)
{
    uint64_t until_us = shard_now_us() + BATCH_US;
    const struct stream *first = TAILQ_FIRST(&shard->ready);
    if (first == NULL)
        return;
    shard->turn++;
    counters_add(&shard->counters.batches, 1);
    while (first != NULL && first->turn != shard->turn) {
        struct group group;
        gather(shard, &group, until_us);
        if (group.n > 0)
            compute(shard, &group);
        if (shard_now_us() >= until_us)
            break;
        first = TAILQ_FIRST(&shard->ready);
    }
}
