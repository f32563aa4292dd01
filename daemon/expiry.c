/* SPDX-License-Identifier: MIT */
#include "daemon/expiry.h"

#include <assert.h>

#include "daemon/end.h"
#include "daemon/idle.h"
#include "daemon/lend.h"

/* A stream that somebody is about to hold, or that has frames to compute, does not end. */
static bool is_busy(const struct stream *stream)
{
    return stream->attach.has_heir || lend_is_out(stream) || stream_waiting(stream) > 0;
}

static void expire(struct shard *shard, struct stream *stream, const char *reason, uint64_t now_us)
{
    char after[64];
    snprintf(after, sizeof(after), "%s for %ju ms",
             stream->held.by == NULL ? "nobody attached it" : "nothing was done with it",
             (uintmax_t)((now_us - stream->idle.since_us) / 1000));
    end_log(shard, stream, reason, after);
    counters_add(&shard->counters.expired, 1);
    end_expire(shard, stream, reason);
}

static void expire_parked(struct shard *shard, uint64_t now_us, uint64_t park_ms)
{
    struct stream *stream;
    while ((stream = idle_overdue(shard, IDLE_PARKED, now_us, park_ms)) != NULL) {
        assert(stream->held.by == NULL);
        if (is_busy(stream))
            idle_park(shard, stream, now_us);
        else
            expire(shard, stream, "expired", now_us);
    }
}

static void expire_warned(struct shard *shard, uint64_t now_us, uint64_t idle_ms)
{
    struct stream *stream;
    while ((stream = idle_overdue(shard, IDLE_WARNED, now_us, idle_ms)) != NULL) {
        assert(stream->held.by != NULL);
        if (is_busy(stream))
            idle_active(shard, stream, now_us);
        else
            expire(shard, stream, "idle", now_us);
    }
}

/* A stream that was warned of has a quarter of idle_ms left, also where idle_ms was just made shorter. */
static void warn_active(struct shard *shard, uint64_t now_us, uint64_t idle_ms)
{
    struct stream *stream;
    uint64_t left_ms = idle_ms / 4, before_us = (idle_ms - left_ms) * 1000;
    while ((stream = idle_overdue(shard, IDLE_ACTIVE, now_us, idle_ms - left_ms)) != NULL) {
        idle_warned(shard, stream, now_us - before_us);
        reply_event_idle(stream->held.by, stream->card.number, left_ms);
    }
}

void expiry_look(struct shard *shard, uint64_t now_us)
{
    const struct config *config = shard->shared->config;
    assert(shard_is_own_thread(shard));
    uint64_t idle_ms = config_number(config, CONFIG_timeouts_idle_ms);
    expire_parked(shard, now_us, config_number(config, CONFIG_timeouts_park_ms));
    if (idle_ms == 0)
        return;
    expire_warned(shard, now_us, idle_ms);
    warn_active(shard, now_us, idle_ms);
}

void expiry_end_parked(struct shard *shard, const char *reason)
{
    struct stream *stream;
    while ((stream = idle_first_parked(shard)) != NULL)
        end_expire(shard, stream, reason);
}
