/* SPDX-License-Identifier: MIT */
#include "daemon/reset.h"

#include <stdlib.h>

#include "daemon/away.h"
#include "daemon/batch.h"
#include "daemon/release.h"
#include "daemon/reply.h"

/* States up to this size are emptied at once: about a tenth of a millisecond. */
#define AT_ONCE_BYTES (1 << 20)

/* A state that another thread empties. */
struct resetting {
    struct away away;
    struct shard *shard;
    struct stream *stream; /* NULL: it ended meanwhile, and left its block */
    struct model *model;   /* used */
    void *state, *block;
    size_t block_bytes;
    uid_t uid;
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

static void empty(struct away *away)
{
    struct resetting *resetting = (struct resetting *)away;
    plan_reset(resetting->model->plan, resetting->state);
}

static void emptied(struct away *away)
{
    struct resetting *resetting = (struct resetting *)away;
    struct shard *shard = resetting->shard;
    struct stream *stream = resetting->stream;
    const struct asker asker = resetting->asker;
    model_release(resetting->model);
    if (stream == NULL)
        release_block(shard, resetting->uid, resetting->block, resetting->block_bytes);
    else
        stream->reset.resetting = NULL;
    free(resetting);
    if (stream == NULL)
        return;
    stream_was_reset(stream);
    answer(shard, stream, &asker);
    if (pending_come_back(shard, stream))
        batch_add(shard, stream);
}

static const struct away_kind resetting_kind = {NULL, empty, emptied};

/* NULL: no memory. */
static struct resetting *send_away(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    struct resetting *resetting = calloc(1, sizeof(*resetting));
    struct share *share = resetting != NULL ? share_join(shard, stream->card.uid) : NULL;
    if (share == NULL) {
        free(resetting);
        return NULL;
    }
    resetting->shard = shard;
    resetting->stream = stream;
    resetting->model = model_use(stream->model);
    resetting->state = stream->state;
    resetting->uid = stream->card.uid;
    resetting->asker = *asker;
    stream->reset.resetting = resetting;
    away_send(&resetting->away, shard, share, &resetting_kind);
    share_leave(share);
    return resetting;
}

static enum pending_outcome carry_out(struct shard *shard, struct stream *stream, const struct asker *asker)
{
    if (plan_facts(stream->plan)->state_bytes > AT_ONCE_BYTES && send_away(shard, stream, asker) != NULL)
        return PENDING_AWAY;
    plan_reset(stream->plan, stream->state);
    stream_was_reset(stream);
    answer(shard, stream, asker);
    return PENDING_DONE;
}

const struct pending_kind reset_kind = {carry_out, reply_error};

void reset_abandon(struct stream *stream, const struct attnp_error *error)
{
    struct resetting *resetting = stream->reset.resetting;
    if (resetting == NULL)
        return;
    resetting->stream = NULL;
    resetting->block = stream_take_block(stream, &resetting->block_bytes);
    stream->reset.resetting = NULL;
    reply_error(resetting->shard, &resetting->asker, error);
}
