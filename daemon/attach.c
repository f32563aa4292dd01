/* SPDX-License-Identifier: MIT */
/*
 * Who asks for a stream becomes its heir at once, and its holder when nothing waits in it any more. An heir is answered
 * exactly once, by whatever makes him none: he becomes the holder, somebody else asks after him, or the stream ends.
 *
 * A stream moves to the shard of its new holder's connection: the registry tells the new shard from the moment on at
 * which the mail that brings the stream stands in that shard's mailbox, so that whoever looks it up writes behind that
 * mail. Somebody on the new shard itself may look it up before the mail is opened; it is the new shard's already then,
 * only in no list, and may even end or move on: the mail therefore names it and does not point to it.
 */
#include "daemon/attach.h"

#include <stddef.h>
#include <stdlib.h>

#include "daemon/answers.h"
#include "daemon/batch.h"
#include "daemon/idle.h"
#include "daemon/open.h"
#include "daemon/pending.h"
#include "daemon/reply.h"

/* Takes as long wherever the first difference is. */
static bool is_token(const struct stream *stream, const uint8_t *token)
{
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < ATTNP_TOKEN_BYTES; i++)
        difference |= stream->token[i] ^ token[i];
    return difference == 0;
}

static bool is_same(const struct asker *a, const struct asker *b)
{
    return a->shard == b->shard && a->connection == b->connection && a->id == b->id;
}

void attach_give_up(struct shard *shard, struct stream *stream, const struct attnp_error *error)
{
    if (!stream->has_heir)
        return;
    stream->has_heir = false;
    reply_error(shard, &stream->heir, error);
}

void attach_park(struct shard *shard, struct stream *stream, const struct attnp_error *why)
{
    if (why != NULL)
        answers_name_unanswered(stream);
    stream->unnamed.count = 0;
    connection_release(stream->holder, stream);
    idle_park(shard, stream, shard_now_us());
    batch_add(shard, stream); /* its frames may have waited for the client to read */
}

static void supersede_holder(struct shard *shard, struct stream *stream)
{
    answers_name_unanswered(stream);
    reply_event_superseded(stream->holder, stream->card.number);
    counters_add(&shard->counters.errors[ATTNP_SUPERSEDED], 1);
    connection_lose(stream->holder, stream);
    idle_park(shard, stream, shard_now_us());
    batch_add(shard, stream);
}

void attach_ask(struct shard *shard, struct stream *stream, const struct asker *asker,
                const uint8_t token[ATTNP_TOKEN_BYTES])
{
    struct attnp_error error;
    if (!is_token(stream, token)) {
        attnp_fail(&error, ATTNP_DENIED, "this is not the token of stream %ju; the answer to its open has it",
                   (uintmax_t)stream->card.number);
        reply_error(shard, asker, &error);
        return;
    }
    struct order *order = pending_make(shard, stream, ORDER_ATTACH, asker);
    if (order == NULL)
        return; /* who asked was told, and whoever holds the stream goes on */
    attnp_fail(&error, ATTNP_SUPERSEDED, "another connection asked for stream %ju meanwhile",
               (uintmax_t)stream->card.number);
    attach_give_up(shard, stream, &error);
    if (stream->holder != NULL && (asker->shard != shard->index || asker->connection != stream->holder->id))
        supersede_holder(shard, stream);
    stream->sequence.ignoring = false;
    stream->has_heir = true;
    stream->heir = *asker;
    pending_queue(shard, stream, order);
}

/* All that a connection needs to hold the stream. 0, or -1 and *error. */
static int make_room(struct connection *connection, struct stream *stream, struct attnp_error *error)
{
    const struct config *config = connection->shard->shared->config;
    if (connection->n_streams >= config_number(config, CONFIG_limits_streams_per_connection))
        return attnp_fail(
            error, ATTNP_OVER_CAPACITY,
            "this connection holds %zu streams, which is the limit; close some, or attach from another connection",
            connection->n_streams);
    return open_provide(connection, stream, error);
}

static void give_to_heir(struct shard *shard, struct stream *stream)
{
    struct attnp_error error;
    struct connection *connection = reply_connection(shard, stream->heir.connection);
    bool is_there = connection != NULL && connection->phase == CONNECTION_OPEN;
    if (is_there && stream->holder != connection && make_room(connection, stream, &error) != 0) {
        attach_give_up(shard, stream, &error);
        is_there = false;
    }
    stream->has_heir = false;
    if (!is_there) {
        idle_park(shard, stream, shard_now_us());
        return;
    }
    if (stream->holder == NULL)
        connection_hold(connection, stream);
    registry_move(shard->shared->registry, &stream->card, shard->index, connection->id, NULL);
    idle_active(shard, stream, shard_now_us());
    counters_add(&shard->counters.attached, 1);
    open_answer(connection, &stream->heir, stream);
}

static void post(void *argument)
{
    struct mail *mail = argument;
    shard_post(mail->to, mail);
}

bool attach_hand_over(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    if (!stream->has_heir || !is_same(&stream->heir, asker))
        return true;
    if (asker->shard == shard->index) {
        give_to_heir(shard, stream);
        return true;
    }
    struct traffic *traffic = traffic_of(shard->shared->traffic, stream->model->name, asker->shard);
    struct mail *mail = traffic != NULL ? mail_new(MAIL_STREAM, 0) : NULL;
    if (mail == NULL) {
        struct attnp_error error;
        attnp_fail(&error, ATTNP_NO_MEMORY, "no memory to move stream %ju; try again later",
                   (uintmax_t)stream->card.number);
        attach_give_up(shard, stream, &error);
        return true;
    }
    mail->stream = stream->card.number;
    mail->asker = *asker;
    mail->to = &shard->shared->shards[asker->shard];
    batch_remove(shard, stream);
    idle_leave(shard, stream);
    admission_leave(shard, &stream->claim);
    counters_add(&shard->counters.streams, (uint64_t)-1);
    traffic_stream(stream->traffic, -1);
    traffic_stream(traffic, 1);
    stream->traffic = traffic;
    registry_move(shard->shared->registry, &stream->card, asker->shard, 0, &(struct registry_moved){post, mail});
    return false;
}

void attach_arrive(struct shard *shard, const struct mail *mail)
{
    struct card *card = registry_find(shard->shared->registry, mail->stream, shard->index, NULL);
    counters_add(&shard->counters.streams, 1);
    if (card == NULL)
        return; /* it ended or moved on before this mail was opened, and the heir was told */
    struct stream *stream = stream_of_card(card);
    admission_keep(shard, &stream->claim);
    if (stream->has_heir && is_same(&stream->heir, &mail->asker))
        give_to_heir(shard, stream);
    else if (stream->holder == NULL && stream->resting == RESTING_NOWHERE)
        idle_park(shard, stream, shard_now_us());
    pending_run(shard, stream); /* what was asked for behind the attach came along */
}

void attach_discard(struct shard *shard, const struct mail *mail)
{
    struct registry *registry = shard->shared->registry;
    struct card *card = registry_find(registry, mail->stream, shard->index, NULL);
    if (card == NULL)
        return;
    struct stream *stream = stream_of_card(card);
    pending_forget(shard, stream);
    registry_remove(registry, card);
    stream_free(stream);
}
