/* SPDX-License-Identifier: MIT */
/*
 * Who asks for a stream becomes its heir at once, and its holder when nothing waits in it any more. An heir is answered
 * exactly once, by what makes it an heir no more: it becomes the holder, somebody else asks later, or the stream
 * ends.
 *
 * A stream moves to the shard of its new holder's connection: the registry tells the new shard from the moment on at
 * which the mail that brings the stream stands in that shard's mailbox, so that a thread that looks it up writes behind
 * that mail. Somebody on the new shard itself may look it up before the mail is opened; it is the new shard's already
 * then, only in no list, and may even end or move on: the mail therefore names it and does not point to it.
 */
#include "daemon/attach.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "daemon/admission.h"
#include "daemon/answers.h"
#include "daemon/idle.h"
#include "daemon/open.h"
#include "daemon/pending.h"
#include "daemon/ready.h"
#include "daemon/reply.h"

/* Takes as long wherever the first difference is. */
static bool is_token(const struct stream *stream, const uint8_t *token)
{
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < ATTNP_TOKEN_BYTES; i++)
        difference |= stream->open.token[i] ^ token[i];
    return difference == 0;
}

static bool is_same(const struct asker *a, const struct asker *b)
{
    return a->shard == b->shard && a->connection == b->connection && a->id == b->id;
}

void attach_give_up(struct shard *shard, struct stream *stream, const struct attnp_error *error)
{
    if (!stream->attach.has_heir)
        return;
    stream->attach.has_heir = false;
    reply_error(shard, &stream->attach.heir, error);
}

/* Its frames may have waited for the client to read. */
static void park(struct shard *shard, struct stream *stream)
{
    idle_park(shard, stream, shard_now_us());
    ready_add(shard, stream);
}

void attach_park(struct shard *shard, struct stream *stream, const struct attnp_error *why)
{
    assert(stream->card.shard == shard->index && stream->held.by != NULL);
    if (why != NULL)
        answers_name_unanswered(stream);
    answers_forget_unanswered(stream);
    ready_remove(shard, stream);
    connection_release(&stream->held);
    park(shard, stream);
}

static void supersede_holder(struct shard *shard, struct stream *stream)
{
    answers_name_unanswered(stream);
    reply_event_superseded(stream->held.by, stream->card.number);
    ready_remove(shard, stream);
    connection_lose(&stream->held);
    park(shard, stream);
}

static enum pending_outcome hand_over(struct shard *shard, struct stream *stream, const struct asker *asker);

/* An heir is told by attach_give_up: it may still wait when its request has left the queue. */
static const struct pending_kind attach_kind = {.carry_out = hand_over, .refuse = NULL};

void attach_ask(struct shard *shard, struct stream *stream, const struct asker *asker,
                const uint8_t token[ATTNP_TOKEN_BYTES])
{
    struct attnp_error error;
    assert(shard_is_own_thread(shard) && stream->card.shard == shard->index);
    if (!is_token(stream, token)) {
        attnp_fail(&error, ATTNP_DENIED, "this is not the token of stream %ju; the answer to its open has it",
                   (uintmax_t)stream->card.number);
        reply_error(shard, asker, &error);
        return;
    }
    struct pending *pending = pending_new(shard, stream, &attach_kind, asker);
    if (pending == NULL)
        return; /* the asker was told, and the holder goes on */
    attnp_fail(&error, ATTNP_SUPERSEDED, "another connection asked for stream %ju meanwhile",
               (uintmax_t)stream->card.number);
    attach_give_up(shard, stream, &error);
    if (stream->held.by != NULL && !connection_is_holder(&stream->held, shard, asker))
        supersede_holder(shard, stream);
    stream_begin_anew(stream);
    stream->attach.has_heir = true;
    stream->attach.heir = *asker;
    pending_queue(shard, stream, pending);
}

/* Where the heir is there no more, or has no room, the stream stays parked; the heir was told. */
static struct connection *heir_with_room(struct shard *shard, struct stream *stream)
{
    struct attnp_error error;
    struct connection *connection = connection_find(shard, stream->attach.heir.connection);
    if (connection == NULL || connection->phase != CONNECTION_OPEN)
        return NULL;
    if (stream->held.by == connection || open_provide(connection, stream, &error) == 0)
        return connection;
    attach_give_up(shard, stream, &error);
    return NULL;
}

static void give_to_heir(struct shard *shard, struct stream *stream)
{
    assert(stream->attach.has_heir && stream->attach.heir.shard == shard->index);
    struct connection *connection = heir_with_room(shard, stream);
    stream->attach.has_heir = false;
    if (connection == NULL) {
        idle_park(shard, stream, shard_now_us());
        return;
    }
    if (stream->held.by == NULL)
        connection_hold(connection, &stream->held);
    registry_move(shard->shared->registry, &stream->card, shard->index, connection->id, NULL);
    idle_active(shard, stream, shard_now_us());
    counters_add(&shard->counters.attached, 1);
    open_answer(connection, &stream->attach.heir, stream);
}

static void post(void *argument)
{
    struct mail *mail = argument;
    shard_post(mail->to, mail);
}

/* The mail that brings the stream to the asker's shard; NULL: no memory. */
static struct mail *new_mail(const struct shard *shard, const struct stream *stream, const struct asker *asker)
{
    struct mail *mail = mail_new(MAIL_STREAM, 0);
    if (mail == NULL)
        return NULL;
    mail->stream = stream->card.number;
    mail->asker = *asker;
    mail->to = &shard->shared->shards[asker->shard];
    return mail;
}

/* The stream is another thread's when this returns. */
static void move(struct shard *shard, struct stream *stream, struct traffic *traffic, struct mail *mail)
{
    assert(mail->to != shard && stream->held.by == NULL && stream_waiting(stream) == 0 && !stream->due.is_listed);
    ready_remove(shard, stream);
    idle_leave(shard, stream);
    admission_leave(shard, &stream->claim);
    stream_count_in(stream, traffic);
    assert(stream->batch.ready_in == NULL && stream->idle.list == IDLE_NOWHERE && stream->claim.load == NULL);
    registry_move(shard->shared->registry, &stream->card, mail->to->index, 0, &(struct registry_moved){post, mail});
}

/* Nothing waits any more: the stream goes to the asker, unless another has asked since. */
static enum pending_outcome hand_over(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    if (!stream->attach.has_heir || !is_same(&stream->attach.heir, asker))
        return PENDING_DONE;
    if (asker->shard == shard->index) {
        give_to_heir(shard, stream);
        return PENDING_DONE;
    }
    struct traffic *traffic = traffic_of(shard->shared->traffic, stream->model->name, asker->shard);
    struct mail *mail = traffic != NULL ? new_mail(shard, stream, asker) : NULL;
    if (mail != NULL) {
        move(shard, stream, traffic, mail);
        return PENDING_MOVED;
    }
    struct attnp_error error;
    attnp_fail(&error, ATTNP_NO_MEMORY, "no memory to move stream %ju; try again later",
               (uintmax_t)stream->card.number);
    attach_give_up(shard, stream, &error);
    return PENDING_DONE;
}

void attach_arrive(struct shard *shard, const struct mail *mail)
{
    struct card *card = registry_find(shard->shared->registry, mail->stream, shard->index, NULL);
    assert(mail->kind == MAIL_STREAM && mail->to == shard);
    if (card == NULL)
        return; /* the stream ended or moved on before this mail was opened, and the heir was told */
    struct stream *stream = stream_of_card(card);
    admission_keep(shard, &stream->claim);
    if (stream->attach.has_heir && is_same(&stream->attach.heir, &mail->asker))
        give_to_heir(shard, stream);
    else if (stream->held.by == NULL && stream->idle.list == IDLE_NOWHERE)
        idle_park(shard, stream, shard_now_us());
    ready_add(shard, stream); /* what was asked for behind the attach came along */
}
