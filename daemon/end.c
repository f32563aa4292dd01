/* SPDX-License-Identifier: MIT */
#include "daemon/end.h"

#include <assert.h>

#include "daemon/admission.h"
#include "daemon/answers.h"
#include "daemon/attach.h"
#include "daemon/client_log.h"
#include "daemon/due.h"
#include "daemon/idle.h"
#include "daemon/lend.h"
#include "daemon/pending.h"
#include "daemon/ready.h"
#include "daemon/release.h"
#include "daemon/reply.h"

void end_put_counts(struct attnp_writer *writer, const struct stream *stream)
{
    attnp_put_uint(writer, "frames", counters_get(&stream->card.frames));
    attnp_put_uint(writer, "outputs", counters_get(&stream->card.outputs));
    attnp_put_uint(writer, "dropped", counters_get(&stream->card.dropped));
    attnp_put_uint(writer, "skipped", counters_get(&stream->card.skipped));
    attnp_put_uint(writer, "refused", counters_get(&stream->card.refused));
}

void end_log(struct shard *shard, const struct stream *stream, const char *event, const char *reason)
{
    const struct log_about about = {
        .event = event,
        .stream = stream->card.number,
        .connection = stream->card.connection,
        .has_uid = true,
        .uid = stream->card.uid,
    };
    client_log_stream(shard, &about, stream->card.name, reason);
}

/* Frames that wait will have no output, and requests that wait no effect. */
static void settle(struct shard *shard, struct stream *stream, const char *reason)
{
    struct attnp_error error;
    assert(shard_is_own_thread(shard) && stream->card.shard == shard->index && stream->batch.answer == NULL);
    attnp_fail(&error, ATTNP_UNKNOWN_STREAM, "stream %ju ended before its turn came: %s",
               (uintmax_t)stream->card.number, reason);
    answers_drop_all(stream, reason);
    pending_refuse_all(shard, stream, &error);
    attach_give_up(shard, stream, &error);
    lend_abandon(stream, &error);
}

static void remove_stream(struct shard *shard, struct stream *stream)
{
    assert(stream->pending.n == 0 && !stream->attach.has_heir); /* the askers were told */
    ready_remove(shard, stream);
    due_remove(shard, stream);
    idle_leave(shard, stream);
    if (stream->held.by != NULL)
        connection_lose(&stream->held);
    admission_leave(shard, &stream->claim);
    release_state(shard, stream);
    registry_remove(shard->shared->registry, &stream->card);
    stream_count_in(stream, NULL);
    counters_add(&shard->counters.closed, 1);
    stream_free(stream);
}

/* The asker's own stream leaves it without a word; any other holder is told. */
static void tell_holder(const struct shard *shard, struct stream *stream, const struct asker *asker, const char *reason,
                        const char *text)
{
    if (connection_is_holder(&stream->held, shard, asker))
        connection_release(&stream->held);
    else
        reply_event_ended(stream->held.by, stream->card.number, reason, text);
}

static void end_by_request(struct shard *shard, struct stream *stream, const struct asker *asker, const char *reason,
                           const char *text)
{
    settle(shard, stream, reason);
    tell_holder(shard, stream, asker, reason, text);
    struct attnp_writer *writer = reply_begin(shard, asker);
    attnp_write_map(writer, 5);
    end_put_counts(writer, stream);
    remove_stream(shard, stream);
    reply_send(shard, asker);
}

void end_close(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    end_by_request(shard, stream, asker, "closed", "");
}

void end_kill(struct shard *shard, struct stream *stream, const struct asker *asker, const char *text)
{
    counters_add(&shard->counters.killed, 1);
    end_by_request(shard, stream, asker, "killed", text);
}

void end_expire(struct shard *shard, struct stream *stream, const char *reason)
{
    settle(shard, stream, reason);
    reply_event_ended(stream->held.by, stream->card.number, reason, "");
    remove_stream(shard, stream);
}

void end_with_connection(struct shard *shard, struct stream *stream, const struct attnp_error *why)
{
    assert(stream->held.by != NULL);
    settle(shard, stream, why != NULL ? attnp_error_name(why->code) : "disconnected");
    remove_stream(shard, stream);
}

void end_discard(struct shard *shard, struct stream *stream)
{
    assert(stream->claim.load == NULL && stream_waiting(stream) == 0); /* they were left behind by the move */
    pending_forget_all(shard, stream);
    registry_remove(shard->shared->registry, &stream->card);
    stream_count_in(stream, NULL);
    stream_free(stream);
}
