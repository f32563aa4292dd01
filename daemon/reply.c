/* SPDX-License-Identifier: MIT */
#include "daemon/reply.h"

#include <assert.h>
#include <string.h>

#include "daemon/client_log.h"

struct attnp_writer *reply_begin(struct shard *shard, const struct asker *asker)
{
    assert(shard_is_own_thread(shard)); /* as its writer is */
    attnp_write_response(&shard->writer, asker->id);
    return &shard->writer;
}

/* Ends the response in the shard's writer; one that is too long, or for which there is no memory, is an error instead:
 * who asked is not to wait in vain. */
static int end_response(struct shard *shard, const struct asker *asker, const uint8_t **bytes, size_t *n_bytes)
{
    struct attnp_error error;
    uint64_t most = config_number(shard->shared->config, CONFIG_limits_message_bytes);
    bool no_memory = shard->writer.failed;
    if (attnp_write_end(&shard->writer, most, bytes, n_bytes) == 0)
        return 0;
    if (no_memory)
        attnp_fail(&error, ATTNP_NO_MEMORY, "no memory for the response; try again later");
    else
        attnp_fail(&error, ATTNP_LIMIT_EXCEEDED,
                   "the response is longer than a message of %ju bytes; ask for less (models: one by name), or raise "
                   "message_bytes in [limits]",
                   (uintmax_t)most);
    counters_add(&shard->counters.errors[error.code], 1);
    attnp_write_error_response(&shard->writer, asker->id, &error);
    return attnp_write_end(&shard->writer, most, bytes, n_bytes);
}

/* `bytes` NULL: there was no memory for the response. */
static void mail_response(struct shard *shard, const struct asker *asker, const uint8_t *bytes, size_t n_bytes)
{
    struct mail *mail = bytes != NULL ? mail_new(MAIL_RESPONSE, n_bytes) : NULL;
    if (mail == NULL) {
        shard_lose(&shard->shared->shards[asker->shard], asker);
        return;
    }
    mail->connection = asker->connection;
    memcpy(mail->bytes, bytes, n_bytes);
    shard_post(&shard->shared->shards[asker->shard], mail);
}

void reply_send(struct shard *shard, const struct asker *asker)
{
    const uint8_t *bytes;
    size_t n_bytes = 0;
    int status = end_response(shard, asker, &bytes, &n_bytes);
    if (asker->shard == shard->index) {
        struct connection *connection = connection_find(shard, asker->connection);
        if (connection != NULL) {
            connection_answered(connection);
            connection_send_bytes(connection, status == 0 ? bytes : NULL, n_bytes);
        }
    } else {
        mail_response(shard, asker, status == 0 ? bytes : NULL, n_bytes);
    }
}

void reply_error(struct shard *shard, const struct asker *asker, const struct attnp_error *error)
{
    client_log_request(shard, asker, error);
    counters_add(&shard->counters.errors[error->code], 1);
    attnp_write_error_response(&shard->writer, asker->id, error);
    reply_send(shard, asker);
}

void reply_notify_error(struct connection *connection, const struct attnp_error *error)
{
    counters_add(&connection->shard->counters.errors[error->code], 1);
    attnp_write_error_notification(&connection->shard->writer, error);
    connection_send(connection);
}

static struct attnp_writer *begin_event(struct connection *connection, uint32_t n_fields, const char *event)
{
    struct attnp_writer *writer = &connection->shard->writer;
    assert(shard_is_own_thread(connection->shard));
    attnp_write_notification(writer, ATTNP_M_EVENT);
    attnp_write_map(writer, n_fields);
    attnp_put_string(writer, "event", event);
    return writer;
}

void reply_event_unanswered(struct connection *connection, uint64_t stream, const struct unanswered *frames)
{
    if (connection == NULL || frames->count == 0)
        return;
    struct attnp_writer *writer = begin_event(connection, 5, frames->was_applied ? "skipped" : "dropped");
    attnp_put_uint(writer, "stream", stream);
    attnp_put_uint(writer, "first", frames->first);
    attnp_put_uint(writer, "count", frames->count);
    attnp_put_string(writer, "reason", frames->reason);
    connection_send(connection);
}

void reply_event_reset(struct connection *connection, uint64_t stream, uint64_t next_frame)
{
    if (connection == NULL)
        return;
    struct attnp_writer *writer = begin_event(connection, 3, "reset");
    attnp_put_uint(writer, "stream", stream);
    attnp_put_uint(writer, "next_frame", next_frame);
    connection_send(connection);
}

void reply_event_ended(struct connection *connection, uint64_t stream, const char *reason, const char *text)
{
    if (connection == NULL)
        return;
    struct attnp_writer *writer = begin_event(connection, text[0] != '\0' ? 4 : 3, "ended");
    attnp_put_uint(writer, "stream", stream);
    attnp_put_string(writer, "reason", reason);
    if (text[0] != '\0')
        attnp_put_string(writer, "message", text);
    connection_send(connection);
}

void reply_event_superseded(struct connection *connection, uint64_t stream)
{
    if (connection == NULL)
        return;
    struct attnp_writer *writer = begin_event(connection, 2, "superseded");
    attnp_put_uint(writer, "stream", stream);
    counters_add(&connection->shard->counters.errors[ATTNP_SUPERSEDED], 1);
    connection_send(connection);
}

void reply_event_idle(struct connection *connection, uint64_t stream, uint64_t expires_ms)
{
    if (connection == NULL)
        return;
    struct attnp_writer *writer = begin_event(connection, 3, "idle");
    attnp_put_uint(writer, "stream", stream);
    attnp_put_uint(writer, "expires_ms", expires_ms);
    connection_send(connection);
}

void reply_event_drain(struct connection *connection, uint64_t deadline_ms)
{
    struct attnp_writer *writer = begin_event(connection, 2, "drain");
    attnp_put_uint(writer, "deadline_ms", deadline_ms);
    connection_send(connection);
}
