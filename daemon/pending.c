/* SPDX-License-Identifier: MIT */
#include "daemon/pending.h"

#include <stdlib.h>

#include "daemon/answers.h"
#include "daemon/attach.h"
#include "daemon/batch.h"
#include "daemon/idle.h"
#include "daemon/reply.h"

static bool is_holder(const struct shard *shard, const struct stream *stream, const struct asker *asker)
{
    return stream->holder != NULL && asker->shard == shard->index && asker->connection == stream->holder->id;
}

static void put_counts(struct attnp_writer *writer, const struct stream *stream)
{
    attnp_put_uint(writer, "frames", counters_get(&stream->card.frames));
    attnp_put_uint(writer, "outputs", counters_get(&stream->card.outputs));
    attnp_put_uint(writer, "dropped", counters_get(&stream->card.dropped));
    attnp_put_uint(writer, "skipped", counters_get(&stream->card.skipped));
    attnp_put_uint(writer, "refused", counters_get(&stream->card.refused));
}

static void carry_out_reset(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    stream_reset(stream);
    counters_set(&stream->card.position, 0);
    if (!is_holder(shard, stream, asker))
        reply_event_reset(stream->holder, stream->card.number, stream->sequence.settled);
    struct attnp_writer *writer = reply_begin(shard, asker);
    attnp_write_map(writer, 2);
    attnp_put_uint(writer, "next_frame", stream->sequence.settled);
    attnp_put_uint(writer, "position", 0);
    reply_send(shard, asker);
}

static void carry_out_finish(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    struct attnp_writer *writer = reply_begin(shard, asker);
    attnp_write_map(writer, 7);
    if (stream->sequence.settled > stream->sequence.first)
        attnp_put_uint(writer, "last", stream->sequence.settled - 1);
    else
        attnp_put_nil(writer, "last");
    attnp_put_uint(writer, "next_frame", stream->sequence.next);
    put_counts(writer, stream);
    reply_send(shard, asker);
}

/* The stream's user is charged for what waits in it, whoever asked. */
static void free_order(struct shard *shard, uid_t uid, struct order *order)
{
    users_discharge(shard->shared->users, uid, USERS_WAITING_REQUESTS, 1);
    free(order);
}

/* NULL and *error: limit_exceeded, no_memory. */
static struct order *new_order(struct shard *shard, const struct stream *stream, struct attnp_error *error)
{
    if (stream->n_orders >= STREAM_MOST_ORDERS) {
        attnp_fail(error, ATTNP_LIMIT_EXCEEDED,
                   "%zu requests for stream %ju wait for their turn already; wait for their responses",
                   stream->n_orders, (uintmax_t)stream->card.number);
        return NULL;
    }
    if (users_charge(shard->shared->users, stream->card.uid, USERS_WAITING_REQUESTS, 1, error) != 0)
        return NULL;
    struct order *order = malloc(sizeof(*order));
    if (order == NULL) {
        users_discharge(shard->shared->users, stream->card.uid, USERS_WAITING_REQUESTS, 1);
        attnp_fail(error, ATTNP_NO_MEMORY, "no memory for the request; try again later");
    }
    return order;
}

/* False: the stream is no longer of this shard. */
static bool carry_out(struct shard *shard, struct stream *stream, const struct order *order)
{
    answers_name_unanswered(stream);
    if (order->kind == ORDER_ATTACH)
        return attach_hand_over(shard, stream, &order->asker);
    if (order->kind == ORDER_RESET)
        carry_out_reset(shard, stream, &order->asker);
    else
        carry_out_finish(shard, stream, &order->asker);
    return true;
}

bool pending_run(struct shard *shard, struct stream *stream)
{
    bool is_here = true;
    uid_t uid = stream->card.uid; /* the stream may be another thread's afterwards */
    while (is_here && !STAILQ_EMPTY(&stream->orders) && STAILQ_FIRST(&stream->orders)->at == stream->sequence.settled) {
        struct order *order = STAILQ_FIRST(&stream->orders);
        STAILQ_REMOVE_HEAD(&stream->orders, link);
        stream->n_orders--;
        is_here = carry_out(shard, stream, order);
        free_order(shard, uid, order);
    }
    return is_here;
}

struct order *pending_make(struct shard *shard, const struct stream *stream, enum order_kind kind,
                           const struct asker *asker)
{
    struct attnp_error error;
    struct order *order = new_order(shard, stream, &error);
    if (order != NULL)
        *order = (struct order){.kind = kind, .asker = *asker};
    else
        reply_error(shard, asker, &error);
    return order;
}

void pending_queue(struct shard *shard, struct stream *stream, struct order *order)
{
    order->at = stream->sequence.next;
    STAILQ_INSERT_TAIL(&stream->orders, order, link);
    stream->n_orders++;
    pending_run(shard, stream);
}

void pending_add(struct shard *shard, struct stream *stream, enum order_kind kind, const struct asker *asker)
{
    struct order *order = pending_make(shard, stream, kind, asker);
    if (order != NULL)
        pending_queue(shard, stream, order);
}

void pending_forget(struct shard *shard, struct stream *stream)
{
    while (!STAILQ_EMPTY(&stream->orders)) {
        struct order *order = STAILQ_FIRST(&stream->orders);
        STAILQ_REMOVE_HEAD(&stream->orders, link);
        free_order(shard, stream->card.uid, order);
    }
}

/* Whoever still waits for a reset, finish or attach is told that it will not come. */
static void refuse_orders(struct shard *shard, struct stream *stream, const char *reason)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_UNKNOWN_STREAM, "stream %ju ended before its turn came: %s",
               (uintmax_t)stream->card.number, reason);
    while (!STAILQ_EMPTY(&stream->orders)) {
        struct order *order = STAILQ_FIRST(&stream->orders);
        STAILQ_REMOVE_HEAD(&stream->orders, link);
        if (order->kind != ORDER_ATTACH)
            reply_error(shard, &order->asker, &error);
        free_order(shard, stream->card.uid, order);
    }
    attach_give_up(shard, stream, &error);
}

/* Names the frames that have no answer, and those that still wait and will have none. */
static void drop_waiting(struct shard *shard, struct stream *stream, const char *reason)
{
    const struct unnamed waiting = {ANSWER_DROPPED, reason, stream->sequence.settled,
                                    attnp_sequence_waiting(&stream->sequence)};
    answers_name_unanswered(stream);
    reply_event_unanswered(stream->holder, stream->card.number, &waiting);
    counters_add(&stream->card.dropped, waiting.count);
    counters_add(&shard->counters.dropped, waiting.count);
    counters_add(&stream->traffic->dropped, waiting.count);
}

static void remove_stream(struct shard *shard, struct stream *stream)
{
    batch_remove(shard, stream);
    idle_leave(shard, stream);
    if (stream->holder != NULL)
        connection_lose(stream->holder, stream);
    admission_leave(shard, &stream->claim);
    registry_remove(shard->shared->registry, &stream->card);
    counters_add(&shard->counters.streams, (uint64_t)-1);
    traffic_stream(stream->traffic, -1);
    counters_add(&shard->counters.closed, 1);
    stream_free(stream);
}

/* Somebody ends it, and is answered with its counts. */
static void end_by_request(struct shard *shard, struct stream *stream, const struct asker *asker, const char *reason,
                           const char *text)
{
    drop_waiting(shard, stream, reason);
    refuse_orders(shard, stream, reason);
    if (is_holder(shard, stream, asker))
        connection_release(stream->holder, stream);
    else
        reply_event_ended(stream->holder, stream->card.number, reason, text);
    struct attnp_writer *writer = reply_begin(shard, asker);
    attnp_write_map(writer, 5);
    put_counts(writer, stream);
    remove_stream(shard, stream);
    reply_send(shard, asker);
}

void pending_close(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    end_by_request(shard, stream, asker, "closed", "");
}

void pending_kill(struct shard *shard, struct stream *stream, const struct asker *asker, const char *text)
{
    counters_add(&shard->counters.killed, 1);
    end_by_request(shard, stream, asker, "killed", text);
}

void pending_expire(struct shard *shard, struct stream *stream, const char *reason)
{
    drop_waiting(shard, stream, reason);
    refuse_orders(shard, stream, reason);
    reply_event_ended(stream->holder, stream->card.number, reason, "");
    remove_stream(shard, stream);
}

void pending_end(struct shard *shard, struct stream *stream, const struct attnp_error *why)
{
    const char *reason = why != NULL ? attnp_error_name(why->code) : "disconnected";
    drop_waiting(shard, stream, reason);
    refuse_orders(shard, stream, reason);
    remove_stream(shard, stream);
}
