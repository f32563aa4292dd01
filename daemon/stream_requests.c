/* SPDX-License-Identifier: MIT */
/*
 * A request about a stream may come from another connection than its holder's, and that one may live on another shard.
 * The registry tells which shard has the stream; the request goes there by mail, takes effect in the stream's own
 * thread, and the finished response comes back by mail to the asker, if it is still there. Where both are of one
 * shard it is opened at once.
 */
#include "daemon/stream_requests.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/end.h"
#include "daemon/idle.h"
#include "daemon/pending.h"
#include "daemon/reply.h"
#include "daemon/reset.h"
#include "daemon/users.h"

/* Which stream is meant, and whether this client may. 0, or -1 and *error. */
static int look_up(const struct connection *connection, const struct attnp_target *target, struct card_view *view,
                   struct attnp_error *error)
{
    return registry_look(connection->shard->shared->registry, target, connection->uid,
                         connection_is_operator(connection), view, error);
}

static enum pending_outcome carry_out_finish(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    struct attnp_writer *writer = reply_begin(shard, asker);
    attnp_write_map(writer, 7);
    if (stream->sequence.settled > stream->sequence.first)
        attnp_put_uint(writer, "last", stream->sequence.settled - 1);
    else
        attnp_put_nil(writer, "last");
    attnp_put_uint(writer, "next_frame", stream->sequence.next);
    end_put_counts(writer, stream);
    reply_send(shard, asker);
    return PENDING_DONE;
}

static const struct pending_kind finish_kind = {carry_out_finish, reply_error};

static void kill_stream(struct shard *shard, struct stream *stream, const struct mail *mail)
{
    const char *text = (const char *)mail->bytes;
    char by[ATTNP_ERROR_TEXT];
    snprintf(by, sizeof(by), "by uid %u%s%s", (unsigned)mail->uid, text[0] != '\0' ? ": " : "", text);
    end_log(shard, stream, "killed", by);
    end_kill(shard, stream, &mail->asker, text);
}

static void act(struct shard *shard, struct stream *stream, const struct mail *mail)
{
    assert(stream->card.shard == shard->index && mail->kind >= MAIL_RESET && mail->kind <= MAIL_ATTACH);
    if (connection_is_holder(&stream->held, shard, &mail->asker))
        idle_active(shard, stream, shard_now_us());
    switch (mail->kind) {
    case MAIL_RESET:
        pending_add(shard, stream, &reset_kind, &mail->asker);
        break;
    case MAIL_CLOSE:
        end_close(shard, stream, &mail->asker);
        break;
    case MAIL_KILL:
        kill_stream(shard, stream, mail);
        break;
    case MAIL_ATTACH:
        attach_ask(shard, stream, &mail->asker, mail->bytes);
        break;
    default:
        break;
    }
}

void stream_requests_mail(struct shard *shard, struct mail *mail)
{
    struct attnp_error error;
    int elsewhere;
    assert(shard_is_own_thread(shard));
    struct card *card = registry_find(shard->shared->registry, mail->stream, shard->index, &elsewhere);
    assert(card != NULL || mail->is_charged); /* what is of one shard is opened at once */
    if (card == NULL && elsewhere >= 0) {
        shard_post(&shard->shared->shards[elsewhere], mail);
        return;
    }
    if (mail->is_charged)
        users_discharge(shard->shared->users, mail->uid, USERS_WAITING_REQUESTS, 1);
    if (card != NULL && stream_of_card(card)->open.is_opening) {
        attnp_fail(&error, ATTNP_UNKNOWN_STREAM, "stream %ju is still being opened; try again later",
                   (uintmax_t)mail->stream);
        reply_error(shard, &mail->asker, &error);
    } else if (card != NULL) {
        act(shard, stream_of_card(card), mail);
    } else {
        attnp_fail(&error, ATTNP_UNKNOWN_STREAM, "stream %ju has just ended", (uintmax_t)mail->stream);
        reply_error(shard, &mail->asker, &error);
    }
    free(mail);
}

/* What goes with an errand. */
struct errand {
    enum mail_kind kind;
    const void *bytes;
    size_t n_bytes;
};

static int run(struct connection *connection, const struct asker *asker, const struct attnp_target *target,
               const struct errand *errand, struct attnp_error *error)
{
    struct shard *shard = connection->shard;
    struct card_view view;
    if (look_up(connection, target, &view, error) != 0)
        return -1;
    bool is_here = view.shard == shard->index;
    if (!is_here && users_charge(shard->shared->users, connection->uid, USERS_WAITING_REQUESTS, 1, error) != 0)
        return -1;
    struct mail *mail = mail_new(errand->kind, errand->n_bytes + 1); /* terminated */
    if (mail == NULL) {
        if (!is_here)
            users_discharge(shard->shared->users, connection->uid, USERS_WAITING_REQUESTS, 1);
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for the request; try again later");
    }
    mail->is_charged = !is_here;
    mail->stream = view.number;
    mail->uid = connection->uid;
    mail->asker = *asker;
    if (errand->n_bytes > 0)
        memcpy(mail->bytes, errand->bytes, errand->n_bytes);
    if (is_here)
        stream_requests_mail(shard, mail);
    else
        shard_post(&shard->shared->shards[view.shard], mail);
    return 0;
}

static int send_plain(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                      enum mail_kind kind, struct attnp_error *error)
{
    struct attnp_target target;
    if (attnp_target_read(&target, params, error) != 0)
        return -1;
    return run(connection, asker, &target, &(struct errand){kind, NULL, 0}, error);
}

int stream_requests_reset(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                          struct attnp_error *error)
{
    return send_plain(connection, asker, params, MAIL_RESET, error);
}

int stream_requests_close(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                          struct attnp_error *error)
{
    return send_plain(connection, asker, params, MAIL_CLOSE, error);
}

int stream_requests_kill(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                         struct attnp_error *error)
{
    struct attnp_kill request;
    if (attnp_kill_read(&request, params, error) != 0)
        return -1;
    if (!connection_is_operator(connection))
        return attnp_fail(error, ATTNP_DENIED,
                          "only root and attnd's own user may kill streams; close ends one of your own");
    return run(connection, asker, &request.target, &(struct errand){MAIL_KILL, request.reason.data, request.reason.n},
               error);
}

int stream_requests_attach(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                           struct attnp_error *error)
{
    struct attnp_attach request;
    if (attnp_attach_read(&request, params, error) != 0)
        return -1;
    return run(connection, asker, &request.target, &(struct errand){MAIL_ATTACH, request.token, ATTNP_TOKEN_BYTES},
               error);
}

/* Only the holder's, and so always on this shard. */
int stream_requests_finish(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                           struct attnp_error *error)
{
    struct attnp_target target;
    struct card_view view;
    if (attnp_target_read(&target, params, error) != 0 || look_up(connection, &target, &view, error) != 0)
        return -1;
    struct held *held = connection_held(connection, view.number);
    if (held == NULL)
        return attnp_fail(
            error, ATTNP_DENIED,
            "this connection does not hold stream %ju, and only its holder may finish it; attach to it first",
            (uintmax_t)view.number);
    assert(view.shard == connection->shard->index);
    idle_active(connection->shard, stream_of_held(held), shard_now_us());
    pending_add(connection->shard, stream_of_held(held), &finish_kind, asker);
    return 0;
}
