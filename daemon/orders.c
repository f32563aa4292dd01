/* SPDX-License-Identifier: MIT */
#include "daemon/orders.h"

#include <stdlib.h>

#include "daemon/batch.h"
#include "daemon/reply.h"

static bool is_holder(const struct shard *shard, const struct stream *stream, const struct asker *asker)
{
    return asker->shard == shard->index && asker->connection == stream->holder->id;
}

static void put_counts(struct attnp_writer *writer, const struct stream *stream, uint64_t dropped)
{
    attnp_put_uint(writer, "frames", counters_get(&stream->card.frames));
    attnp_put_uint(writer, "outputs", counters_get(&stream->card.outputs));
    attnp_put_uint(writer, "dropped", dropped);
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
    attnp_write_map(writer, 6);
    if (stream->sequence.settled > stream->sequence.first)
        attnp_put_uint(writer, "last", stream->sequence.settled - 1);
    else
        attnp_put_nil(writer, "last");
    attnp_put_uint(writer, "next_frame", stream->sequence.next);
    put_counts(writer, stream, 0);
    reply_send(shard, asker);
}

void orders_run(struct shard *shard, struct stream *stream)
{
    while (!STAILQ_EMPTY(&stream->orders) && STAILQ_FIRST(&stream->orders)->at == stream->sequence.settled) {
        struct order *order = STAILQ_FIRST(&stream->orders);
        STAILQ_REMOVE_HEAD(&stream->orders, link);
        stream->n_orders--;
        if (order->kind == ORDER_RESET)
            carry_out_reset(shard, stream, &order->asker);
        else
            carry_out_finish(shard, stream, &order->asker);
        free(order);
    }
}

void orders_add(struct shard *shard, struct stream *stream, int kind, const struct asker *asker)
{
    struct attnp_error error;
    struct order *order = stream->n_orders < STREAM_MOST_ORDERS ? malloc(sizeof(*order)) : NULL;
    if (order == NULL) {
        if (stream->n_orders < STREAM_MOST_ORDERS)
            attnp_fail(&error, ATTNP_NO_MEMORY, "no memory for the request; try again later");
        else
            attnp_fail(&error, ATTNP_LIMIT_EXCEEDED,
                       "%zu resets and finishes of stream %ju wait already; wait for their responses", stream->n_orders,
                       (uintmax_t)stream->card.number);
        reply_error(shard, asker, &error);
        return;
    }
    order->kind = kind;
    order->at = stream->sequence.next;
    order->asker = *asker;
    STAILQ_INSERT_TAIL(&stream->orders, order, link);
    stream->n_orders++;
    orders_run(shard, stream);
}

/* Whoever still waits for a reset or finish is told that it will not come. */
static void refuse_orders(struct shard *shard, struct stream *stream, const char *reason)
{
    struct attnp_error error;
    attnp_fail(&error, ATTNP_UNKNOWN_STREAM, "stream %ju ended before its turn came: %s",
               (uintmax_t)stream->card.number, reason);
    while (!STAILQ_EMPTY(&stream->orders)) {
        struct order *order = STAILQ_FIRST(&stream->orders);
        STAILQ_REMOVE_HEAD(&stream->orders, link);
        reply_error(shard, &order->asker, &error);
        free(order);
    }
}

/* Names the frames that still wait; returns how many. */
static uint64_t drop_waiting(struct shard *shard, struct stream *stream, const char *reason)
{
    uint32_t n_waiting = attnp_sequence_waiting(&stream->sequence);
    if (n_waiting > 0)
        reply_event_dropped(stream->holder, stream->card.number, stream->sequence.settled, n_waiting, reason);
    counters_add(&shard->counters.dropped, n_waiting);
    return n_waiting;
}

static void remove_stream(struct shard *shard, struct stream *stream)
{
    batch_remove(shard, stream);
    connection_release(stream->holder, stream);
    registry_remove(shard->shared->registry, &stream->card);
    counters_add(&shard->counters.streams, (uint64_t)-1);
    counters_add(&shard->counters.closed, 1);
    stream_free(stream);
}

void orders_close(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    uint64_t n_dropped = drop_waiting(shard, stream, "closed");
    refuse_orders(shard, stream, "closed");
    if (!is_holder(shard, stream, asker))
        reply_event_ended(stream->holder, stream->card.number, "closed");
    struct attnp_writer *writer = reply_begin(shard, asker);
    attnp_write_map(writer, 4);
    put_counts(writer, stream, n_dropped);
    remove_stream(shard, stream);
    reply_send(shard, asker);
}

void orders_end(struct shard *shard, struct stream *stream, const struct attnp_error *why)
{
    const char *reason = why != NULL ? attnp_error_name(why->code) : "disconnected";
    if (why != NULL)
        drop_waiting(shard, stream, reason);
    else
        counters_add(&shard->counters.dropped, attnp_sequence_waiting(&stream->sequence));
    refuse_orders(shard, stream, reason);
    remove_stream(shard, stream);
}
