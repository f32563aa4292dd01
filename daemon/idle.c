/* SPDX-License-Identifier: MIT */
#include "daemon/idle.h"

#include <assert.h>

void idle_start(struct shard *shard)
{
    TAILQ_INIT(&shard->idle.active);
    TAILQ_INIT(&shard->idle.warned);
    TAILQ_INIT(&shard->idle.parked);
}

static struct streams *list_of(struct shard *shard, enum idle_list list)
{
    assert(list != IDLE_NOWHERE);
    return list == IDLE_ACTIVE ? &shard->idle.active : list == IDLE_WARNED ? &shard->idle.warned : &shard->idle.parked;
}

void idle_leave(struct shard *shard, struct stream *stream)
{
    assert(shard_is_own_thread(shard));
    if (stream->idle.list == IDLE_NOWHERE)
        return;
    if (stream->idle.list == IDLE_PARKED)
        counters_add(&shard->counters.parked, (uint64_t)-1);
    TAILQ_REMOVE(list_of(shard, stream->idle.list), stream, idle.link);
    stream->idle.list = IDLE_NOWHERE;
    counters_set(&stream->card.parked_us, 0);
}

/* Behind those that are idle for as long or longer. That is nearly always the end of the list: only under another
 * idle_ms than before may a stream be warned of that is idle for longer than those that were. */
static void join(struct shard *shard, struct stream *stream, enum idle_list list, uint64_t since_us)
{
    idle_leave(shard, stream);
    struct streams *streams = list_of(shard, list);
    struct stream *before = TAILQ_LAST(streams, streams);
    while (before != NULL && before->idle.since_us > since_us)
        before = TAILQ_PREV(before, streams, idle.link);
    if (before != NULL)
        TAILQ_INSERT_AFTER(streams, before, stream, idle.link);
    else
        TAILQ_INSERT_HEAD(streams, stream, idle.link);
    stream->idle.list = list;
    stream->idle.since_us = since_us;
}

void idle_active(struct shard *shard, struct stream *stream, uint64_t now_us)
{
    assert(stream->held.by != NULL);
    join(shard, stream, IDLE_ACTIVE, now_us);
    counters_set(&stream->card.active_us, now_us);
}

void idle_park(struct shard *shard, struct stream *stream, uint64_t now_us)
{
    assert(stream->held.by == NULL);
    join(shard, stream, IDLE_PARKED, now_us);
    counters_add(&shard->counters.parked, 1);
    counters_set(&stream->card.parked_us, now_us);
}

void idle_warned(struct shard *shard, struct stream *stream, uint64_t since_us)
{
    assert(stream->held.by != NULL);
    join(shard, stream, IDLE_WARNED, since_us);
}

struct stream *idle_overdue(struct shard *shard, enum idle_list list, uint64_t now_us, uint64_t after_ms)
{
    struct stream *stream = TAILQ_FIRST(list_of(shard, list));
    if (stream == NULL || now_us < stream->idle.since_us || now_us - stream->idle.since_us <= after_ms * 1000)
        return NULL;
    return stream;
}

struct stream *idle_first_parked(const struct shard *shard)
{
    return TAILQ_FIRST(&shard->idle.parked);
}
