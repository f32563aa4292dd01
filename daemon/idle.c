/* SPDX-License-Identifier: MIT */
#include "daemon/idle.h"

#include "daemon/client_log.h"
#include "daemon/pending.h"
#include "daemon/reply.h"

static struct streams_at_rest *list_of(struct shard *shard, enum resting resting)
{
    return resting == RESTING_ACTIVE ? &shard->active : resting == RESTING_WARNED ? &shard->warned : &shard->parked;
}

void idle_leave(struct shard *shard, struct stream *stream)
{
    if (stream->resting == RESTING_NOWHERE)
        return;
    if (stream->resting == RESTING_PARKED)
        counters_add(&shard->counters.parked, (uint64_t)-1);
    TAILQ_REMOVE(list_of(shard, stream->resting), stream, rest);
    stream->resting = RESTING_NOWHERE;
    counters_set(&stream->card.parked_us, 0);
}

static void join(struct shard *shard, struct stream *stream, enum resting resting)
{
    idle_leave(shard, stream);
    TAILQ_INSERT_TAIL(list_of(shard, resting), stream, rest);
    stream->resting = resting;
}

void idle_active(struct shard *shard, struct stream *stream, uint64_t now_us)
{
    stream->active_us = now_us;
    counters_set(&stream->card.active_us, now_us);
    join(shard, stream, RESTING_ACTIVE);
}

void idle_park(struct shard *shard, struct stream *stream, uint64_t now_us)
{
    stream->active_us = now_us;
    join(shard, stream, RESTING_PARKED);
    counters_add(&shard->counters.parked, 1);
    counters_set(&stream->card.parked_us, now_us);
}

/* The first of a list if nothing was done with it for so long; NULL: none. */
static struct stream *overdue(const struct streams_at_rest *list, uint64_t now_us, uint64_t after_ms)
{
    struct stream *stream = TAILQ_FIRST(list);
    if (stream == NULL || now_us < stream->active_us || now_us - stream->active_us <= after_ms * 1000)
        return NULL;
    return stream;
}

/* A stream that somebody is about to hold, or that has frames to compute, is not at rest. */
static bool is_busy(const struct stream *stream)
{
    return stream->has_heir || attnp_sequence_waiting(&stream->sequence) > 0;
}

static void expire(struct shard *shard, struct stream *stream, const char *reason, uint64_t now_us)
{
    char after[64];
    snprintf(after, sizeof(after), "%s for %ju ms",
             stream->holder == NULL ? "nobody attached it" : "nothing was done with it",
             (uintmax_t)((now_us - stream->active_us) / 1000));
    client_log_stream(shard, &stream->card, reason, after);
    counters_add(&shard->counters.expired, 1);
    pending_expire(shard, stream, reason);
}

static void warn_idle(struct shard *shard, uint64_t now_us, uint64_t idle_ms)
{
    struct stream *stream;
    uint64_t left_ms = idle_ms / 4, before_us = (idle_ms - left_ms) * 1000;
    while ((stream = overdue(&shard->active, now_us, idle_ms - left_ms)) != NULL) {
        stream->active_us = now_us - before_us; /* it has that time left, also where idle_ms was just made shorter */
        join(shard, stream, RESTING_WARNED);
        reply_event_idle(stream->holder, stream->card.number, left_ms);
    }
}

void idle_look(struct shard *shard, uint64_t now_us)
{
    const struct config *config = shard->shared->config;
    uint64_t idle_ms = config_number(config, CONFIG_timeouts_idle_ms),
             park_ms = config_number(config, CONFIG_timeouts_park_ms);
    struct stream *stream;
    while ((stream = overdue(&shard->parked, now_us, park_ms)) != NULL) {
        if (is_busy(stream))
            idle_park(shard, stream, now_us);
        else
            expire(shard, stream, "expired", now_us);
    }
    if (idle_ms == 0)
        return;
    while ((stream = overdue(&shard->warned, now_us, idle_ms)) != NULL) {
        if (is_busy(stream))
            idle_active(shard, stream, now_us);
        else
            expire(shard, stream, "idle", now_us);
    }
    warn_idle(shard, now_us, idle_ms);
}

void idle_end_parked(struct shard *shard, const char *reason)
{
    while (!TAILQ_EMPTY(&shard->parked))
        pending_expire(shard, TAILQ_FIRST(&shard->parked), reason);
}
