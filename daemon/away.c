/* SPDX-License-Identifier: MIT */
#include "daemon/away.h"

#include <assert.h>
#include <sys/resource.h>
#include <unistd.h>

/* Behind shards, clients and whatever else runs on the machine; where that is refused (attnd.service allows no change
 * of priorities), beside them. */
#define NICE 10

static void run(uv_work_t *work)
{
    static _Thread_local bool is_nice;
    struct away *away = work->data;
    if (!is_nice)
        (void)!setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    is_nice = true;
    away->kind->run(away);
}

/* The first leaves its user's queue. */
static void end_first(struct away *away)
{
    struct share *share = away->share;
    STAILQ_REMOVE_HEAD(&share->away, link);
    away->kind->back(away);
    share_leave(share);
}

static void back(uv_work_t *work, int status);

/* Work that nobody waits for any more is left out: the daemon is not to end later because of it. */
static void start_next(struct share *share)
{
    struct away *away;
    share_use(share);
    while ((away = STAILQ_FIRST(&share->away)) != NULL && !away->is_running) {
        if (away->kind->is_wanted == NULL || away->kind->is_wanted(away)) {
            away->is_running = true;
            uv_queue_work(&away->shard->loop, &away->work, run, back);
            break;
        }
        end_first(away);
    }
    share_leave(share);
}

static void back(uv_work_t *work, int status)
{
    struct away *away = work->data;
    struct share *share = share_use(away->share);
    assert(status == 0); /* nothing is ever cancelled */
    (void)status;
    end_first(away);
    start_next(share);
    share_leave(share);
}

void away_send(struct away *away, struct shard *shard, struct share *share, const struct away_kind *kind)
{
    bool is_first = STAILQ_EMPTY(&share->away);
    away->work.data = away;
    away->shard = shard;
    away->share = share_use(share);
    away->kind = kind;
    away->is_running = false;
    STAILQ_INSERT_TAIL(&share->away, away, link);
    if (is_first)
        start_next(share);
}
