/* SPDX-License-Identifier: MIT */
#include "daemon/due.h"

#include <assert.h>

#include "daemon/lend.h"

void due_start(struct shard *shard)
{
    TAILQ_INIT(&shard->due.streams);
}

bool due_is(const struct stream *stream)
{
    if (stream->pending.n == 0 || lend_is_out(stream))
        return false;
    assert(stream->pending.due_at >= stream->sequence.settled); /* no frame is settled while a request is due */
    return stream->pending.due_at == stream->sequence.settled;
}

bool due_add(struct shard *shard, struct stream *stream)
{
    assert(shard_is_own_thread(shard));
    if (!due_is(stream))
        return false;
    assert(stream->batch.ready_in == NULL && stream->ready.dear_in == NULL); /* its next frame waits for the request */
    if (!stream->due.is_listed)
        TAILQ_INSERT_TAIL(&shard->due.streams, stream, due.link);
    stream->due.is_listed = true;
    shard_stay_busy(shard);
    return true;
}

void due_remove(struct shard *shard, struct stream *stream)
{
    if (stream->due.is_listed)
        TAILQ_REMOVE(&shard->due.streams, stream, due.link);
    stream->due.is_listed = false;
    shard_stay_busy(shard);
}

struct stream *due_take(struct shard *shard)
{
    struct stream *stream = TAILQ_FIRST(&shard->due.streams);
    assert(stream == NULL || due_is(stream)); /* nothing was carried out or settled since it was listed */
    if (stream != NULL)
        due_remove(shard, stream);
    return stream;
}
