/* SPDX-License-Identifier: MIT */
#include "daemon/reset.h"

#include <stdlib.h>

#include "daemon/lend.h"
#include "daemon/ready.h"
#include "daemon/reply.h"

/* A state that another thread empties. */
struct resetting {
    struct loan loan;
    void *state;
    struct asker asker;
};

static void answer(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    if (!connection_is_holder(&stream->held, shard, asker))
        reply_event_reset(stream->held.by, stream->card.number, stream->sequence.settled);
    struct attnp_writer *writer = reply_begin(shard, asker);
    attnp_write_map(writer, 2);
    attnp_put_uint(writer, "next_frame", stream->sequence.settled);
    attnp_put_uint(writer, "position", 0);
    reply_send(shard, asker);
}

static void empty(struct loan *loan)
{
    plan_reset(loan->model->plan, ((struct resetting *)loan)->state);
}

static void emptied(struct loan *loan, struct stream *stream)
{
    struct shard *shard = loan->shard;
    const struct asker asker = ((struct resetting *)loan)->asker;
    free((struct resetting *)loan);
    if (stream == NULL)
        return;
    stream_was_reset(stream);
    answer(shard, stream, &asker);
    ready_add(shard, stream);
}

static void tell_ended(struct loan *loan, const struct attnp_error *error)
{
    reply_error(loan->shard, &((struct resetting *)loan)->asker, error);
}

static const struct loan_kind resetting_kind = {empty, emptied, tell_ended};

/* False: no memory. */
static bool send_away(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    struct resetting *resetting = calloc(1, sizeof(*resetting));
    struct share *share = resetting != NULL ? share_join(shard, stream->card.uid) : NULL;
    if (share == NULL) {
        free(resetting);
        return false;
    }
    resetting->state = stream->state;
    resetting->asker = *asker;
    lend_state(&resetting->loan, shard, share, stream, &resetting_kind);
    share_leave(share);
    return true;
}

static enum pending_outcome carry_out(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    if (plan_facts(stream->plan)->state_bytes > AWAY_BYTES && send_away(shard, stream, asker))
        return PENDING_DONE;
    plan_reset(stream->plan, stream->state);
    stream_was_reset(stream);
    answer(shard, stream, asker);
    return PENDING_DONE;
}

const struct pending_kind reset_kind = {carry_out, reply_error};
