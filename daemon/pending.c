/* SPDX-License-Identifier: MIT */
#include "daemon/pending.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/answers.h"
#include "daemon/due.h"
#include "daemon/ready.h"
#include "daemon/reply.h"
#include "daemon/users.h"

/* What requests that are due may take of one turn; the others wait for the next, and their streams with them. */
#define DUE_US 500

void pending_init(struct stream *stream)
{
    STAILQ_INIT(&stream->pending.requests);
}

static void note_due(struct stream *stream)
{
    const struct pending *first = STAILQ_FIRST(&stream->pending.requests);
    assert((first == NULL) == (stream->pending.n == 0));
    stream->pending.due_at = first != NULL ? first->at : 0;
}

/* The user of the stream is charged for what waits in it, not the one who asked. */
static void free_pending(struct shard *shard, uid_t uid, struct pending *pending)
{
    users_discharge(shard->shared->users, uid, USERS_WAITING_REQUESTS, 1);
    free(pending);
}

/* The first request, which leaves the queue; NULL: none waits. */
static struct pending *take(struct stream *stream)
{
    struct pending *pending = STAILQ_FIRST(&stream->pending.requests);
    if (pending == NULL)
        return NULL;
    STAILQ_REMOVE_HEAD(&stream->pending.requests, link);
    stream->pending.n--;
    note_due(stream);
    return pending;
}

/* NULL and *error: limit_exceeded, no_memory. */
static struct pending *make(struct shard *shard, const struct stream *stream, struct attnp_error *error)
{
    if (stream->pending.n >= PENDING_MOST) {
        attnp_fail(error, ATTNP_LIMIT_EXCEEDED,
                   "%zu requests for stream %ju wait for their turn already; wait for their responses",
                   stream->pending.n, (uintmax_t)stream->card.number);
        return NULL;
    }
    if (users_charge(shard->shared->users, stream->card.uid, USERS_WAITING_REQUESTS, 1, error) != 0)
        return NULL;
    struct pending *pending = malloc(sizeof(*pending));
    if (pending == NULL) {
        users_discharge(shard->shared->users, stream->card.uid, USERS_WAITING_REQUESTS, 1);
        attnp_fail(error, ATTNP_NO_MEMORY, "no memory for the request; try again later");
    }
    return pending;
}

struct pending *pending_new(struct shard *shard, const struct stream *stream, const struct pending_kind *kind,
                            const struct asker *asker)
{
    struct attnp_error error;
    struct pending *pending = make(shard, stream, &error);
    if (pending != NULL)
        *pending = (struct pending){.kind = kind, .asker = *asker};
    else
        reply_error(shard, asker, &error);
    return pending;
}

/* Carries out the first request, which is due; the stream leaves the list of those. False: the stream is no longer of
 * this shard. */
static bool run_first(struct shard *shard, struct stream *stream)
{
    due_remove(shard, stream);
    uid_t uid = stream->card.uid; /* the stream may be another thread's afterwards */
    struct pending *pending = take(stream);
    assert(pending->at == stream->sequence.settled && stream->batch.answer == NULL); /* the batch is answered */
    answers_name_unanswered(stream);
    bool is_here = pending->kind->carry_out(shard, stream, &pending->asker) == PENDING_DONE;
    free_pending(shard, uid, pending);
    return is_here;
}

void pending_queue(struct shard *shard, struct stream *stream, struct pending *pending)
{
    assert(shard_is_own_thread(shard) && stream->card.shard == shard->index);
    assert(stream->pending.n < PENDING_MOST && stream->pending.due_at <= stream->sequence.next);
    pending->at = stream->sequence.next;
    STAILQ_INSERT_TAIL(&stream->pending.requests, pending, link);
    stream->pending.n++;
    note_due(stream);
    if (stream->pending.n == 1 && due_is(stream)) /* else those before it come first */
        run_first(shard, stream);
}

void pending_add(struct shard *shard, struct stream *stream, const struct pending_kind *kind, const struct asker *asker)
{
    struct pending *pending = pending_new(shard, stream, kind, asker);
    if (pending != NULL)
        pending_queue(shard, stream, pending);
}

/* One request of the stream, which is charged to its holder's user, or to its own. */
static void run_due(struct shard *shard, struct stream *stream)
{
    struct share *share = connection_share(shard, &stream->held, stream->card.uid);
    uint64_t begun_ns = uv_hrtime();
    if (run_first(shard, stream))
        ready_add(shard, stream);
    share_charge(share, uv_hrtime() - begun_ns);
    share_leave(share);
}

void pending_run_due(struct shard *shard)
{
    uint64_t until_us = shard_now_us() + DUE_US;
    struct stream *stream;
    while ((stream = due_take(shard)) != NULL) {
        run_due(shard, stream);
        if (shard_now_us() >= until_us)
            break;
    }
    shard_stay_busy(shard);
}

void pending_refuse_all(struct shard *shard, struct stream *stream, const struct attnp_error *error)
{
    struct pending *pending;
    while ((pending = take(stream)) != NULL) {
        if (pending->kind->refuse != NULL)
            pending->kind->refuse(shard, &pending->asker, error);
        free_pending(shard, stream->card.uid, pending);
    }
}

void pending_forget_all(struct shard *shard, struct stream *stream)
{
    struct pending *pending;
    while ((pending = take(stream)) != NULL)
        free_pending(shard, stream->card.uid, pending);
}
