/* SPDX-License-Identifier: MIT */
#include "daemon/requests.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/client_log.h"
#include "daemon/end.h"
#include "daemon/inspect.h"
#include "daemon/lend.h"
#include "daemon/models.h"
#include "daemon/open.h"
#include "daemon/pushes.h"
#include "daemon/ready.h"
#include "daemon/reply.h"
#include "daemon/stream_requests.h"

typedef int (*request_function)(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                                struct attnp_error *error);

static int hello(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                 struct attnp_error *error)
{
    static const char *const features[] = {"attention", "models", "rate",  "late", "replay", "attach",
                                           "reset",     "finish", "close", "kill", "info",   "stats"};
    const struct shared *shared = connection->shard->shared;
    struct attnp_hello request;
    if (attnp_hello_read(&request, params, error) != 0) {
        attnp_session_await_hello(&connection->session);
        return -1;
    }
    if (!request.speaks_version)
        return attnp_fail(error, ATTNP_BAD_VERSION, "versions does not list %d, the only version spoken here",
                          ATTNP_VERSION);
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    attnp_write_map(writer, 5);
    attnp_put_string(writer, "server", "attnd");
    attnp_put_string(writer, "version", plan_library_version());
    attnp_write_key(writer, "features");
    attnp_write_array(writer, sizeof(features) / sizeof(features[0]));
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        attnp_write_string(writer, features[i], strlen(features[i]));
    attnp_write_key(writer, "limits");
    attnp_write_map(writer, 4);
    attnp_put_uint(writer, "max_message", config_number(shared->config, CONFIG_limits_message_bytes));
    attnp_put_uint(writer, "streams_per_connection",
                   config_number(shared->config, CONFIG_limits_streams_per_connection));
    attnp_put_uint(writer, "max_streams", config_number(shared->config, CONFIG_limits_streams));
    attnp_put_uint(writer, "unsent_bytes", config_number(shared->config, CONFIG_limits_unsent_bytes));
    attnp_write_key(writer, "models");
    struct model *models[MODELS_MOST];
    size_t n_models = models_list(shared->models, models);
    attnp_write_array(writer, (uint32_t)n_models);
    for (size_t i = 0; i < n_models; i++) {
        attnp_write_string(writer, models[i]->name, strlen(models[i]->name));
        model_release(models[i]);
    }
    reply_send(connection->shard, asker);
    return 0;
}

static int ping(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                struct attnp_error *error)
{
    (void)params, (void)error;
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    attnp_write_map(writer, 3);
    attnp_put_string(writer, "server", "attnd");
    attnp_put_string(writer, "version", plan_library_version());
    attnp_put_uint(writer, "uptime_s", (shard_now_us() - connection->shard->shared->started_us) / 1000000);
    reply_send(connection->shard, asker);
    return 0;
}

static int not_supported(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                         struct attnp_error *error)
{
    (void)connection, (void)asker, (void)params;
    return attnp_fail(error, ATTNP_NOT_SUPPORTED, "this method is not supported by this version of attnd");
}

static const request_function functions[ATTNP_M_UNKNOWN] = {
    [ATTNP_M_HELLO] = hello,
    [ATTNP_M_OPEN] = open_request,
    [ATTNP_M_ATTACH] = stream_requests_attach,
    [ATTNP_M_RESET] = stream_requests_reset,
    [ATTNP_M_FINISH] = stream_requests_finish,
    [ATTNP_M_CLOSE] = stream_requests_close,
    [ATTNP_M_KILL] = stream_requests_kill,
    [ATTNP_M_PING] = ping,
    [ATTNP_M_MODELS] = inspect_models,
    [ATTNP_M_STREAMS] = inspect_streams,
    [ATTNP_M_INFO] = inspect_info,
    [ATTNP_M_STATS] = inspect_stats,
};

/* An error that answers a request, and ends the connection where the table says so; without an id only the latter is
 * left. */
static enum connection_next refuse(struct connection *connection, const struct asker *asker, bool id_known,
                                   const struct attnp_error *error)
{
    if (!id_known)
        return CONNECTION_ENDS;
    reply_error(connection->shard, asker, error);
    return attnp_error_ends(error->code) == ATTNP_ENDS_CONNECTION ? CONNECTION_ENDS_TOLD : CONNECTION_GOES_ON;
}

static enum connection_next dispatch(struct connection *connection, const struct attnp_message *message,
                                     const struct asker *asker, struct attnp_error *error)
{
    bool is_request = message->kind == ATTNP_REQUEST;
    if (attnp_session_accept(&connection->session, message->kind, message->method, message->method_name, error) != 0) {
        if (is_request || attnp_error_ends(error->code) == ATTNP_ENDS_CONNECTION)
            return refuse(connection, asker, is_request, error);
        reply_notify_error(connection, error);
        return CONNECTION_GOES_ON;
    }
    request_function function = functions[message->method] != NULL ? functions[message->method] : not_supported;
    return function(connection, asker, message->params, error) == 0 ? CONNECTION_GOES_ON
                                                                    : refuse(connection, asker, true, error);
}

static enum connection_next handle_message(struct connection *connection, const uint8_t *body, size_t n_body,
                                           struct attnp_error *error)
{
    struct attnp_message message;
    bool id_known;
    if (connection->session.state == ATTNP_READY && attnp_is_push(body, n_body))
        return pushes_take(connection, body, n_body, error) == 0 ? CONNECTION_GOES_ON : CONNECTION_ENDS;
    int status = attnp_message_read(&message, body, n_body, &id_known, error);
    const struct asker asker = {connection->shard->index, connection->id, message.id};
    if (id_known)
        connection_asked(connection);
    if (status != 0)
        return refuse(connection, &asker, id_known, error);
    enum connection_next next = dispatch(connection, &message, &asker, error);
    attnp_message_done(&message);
    return next;
}

/* Streams outlive their connection for a while, so that the client can come back to them; not the daemon's end. */
static void give_up_streams(struct connection *connection, const struct attnp_error *why)
{
    struct shard *shard = connection->shard;
    bool is_parked = config_number(shard->shared->config, CONFIG_timeouts_park_ms) > 0 && !shard->turn.is_draining;
    while (connection->n_streams > 0) {
        struct stream *stream = stream_of_held(connection->streams[connection->n_streams - 1]);
        if (is_parked)
            attach_park(shard, stream, why);
        else
            end_with_connection(shard, stream, why);
    }
}

static void handle_end(struct connection *connection, const struct attnp_error *why, bool is_told)
{
    give_up_streams(connection, why);
    if (why == NULL)
        return;
    client_log_connection(connection, why);
    if (!is_told)
        reply_notify_error(connection, why);
}

static bool is_settled(const struct connection *connection)
{
    for (size_t i = 0; i < connection->n_streams; i++) {
        const struct stream *stream = stream_of_held(connection->streams[i]);
        if (stream_waiting(stream) > 0 || stream->pending.n > 0 || lend_is_out(stream))
            return false;
    }
    return true;
}

static void handle_relief(struct connection *connection)
{
    for (size_t i = 0; i < connection->n_streams; i++)
        ready_add(connection->shard, stream_of_held(connection->streams[i]));
}

const struct connection_handler requests_handler = {handle_message, handle_end, is_settled, handle_relief};

static void deliver(struct shard *shard, struct mail *mail)
{
    struct connection *connection = connection_find(shard, mail->connection);
    if (connection != NULL) {
        connection_answered(connection);
        connection_send_bytes(connection, mail->bytes, mail->n_bytes);
    }
    free(mail);
}

void requests_lost(struct shard *shard, const struct lost *lost)
{
    struct attnp_error error;
    struct connection *connection;
    attnp_fail(&error, ATTNP_NO_MEMORY, "no memory for the response; the request may have been carried out");
    for (size_t i = 0; i < lost->n && i < MAILBOX_LOST; i++)
        reply_error(shard, &lost->askers[i], &error);
    if (lost->n <= MAILBOX_LOST)
        return;
    TAILQ_FOREACH(connection, &shard->connections.all, all)
    if (connection->n_unanswered > 0 && connection->phase == CONNECTION_OPEN)
        connection_end(connection, &error);
}

void requests_mail(struct shard *shard, struct mail *mail)
{
    assert(mail->kind != MAIL_CONNECTION); /* loop.c takes these */
    if (mail->kind == MAIL_RESPONSE) {
        deliver(shard, mail);
    } else if (mail->kind == MAIL_STREAM) {
        attach_arrive(shard, mail);
        free(mail);
    } else {
        stream_requests_mail(shard, mail);
    }
}
