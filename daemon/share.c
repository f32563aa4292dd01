/* SPDX-License-Identifier: MIT */
/*
 * The budget of a turn is small, so that a frame that comes while others' requests are handled waits no longer than
 * that; turns follow each other without a pause while anybody waits, so that a small budget costs no more than the poll
 * between two turns. A user that is alone on the shard holds up nobody else.
 *
 * A debt is bounded: a request that took long has its user wait, but not for ever.
 */
#include "daemon/share.h"

#include <assert.h>
#include <stdlib.h>

/* All users' together, and that of a user who is alone. */
#define TURN_NS  50000
#define ALONE_NS 1000000

/* No share is smaller: about what a request takes, or some frames. */
#define LEAST_NS 5000

#define MOST_DEBT_NS 100000000

static void make_lists(struct connections *paused, struct aways *away, struct streams *ready, struct streams *dear)
{
    TAILQ_INIT(paused);
    STAILQ_INIT(away);
    TAILQ_INIT(ready);
    TAILQ_INIT(dear);
}

/* NULL: no memory. */
static struct share *new_share(uid_t uid)
{
    struct share *share = calloc(1, sizeof(*share));
    if (share == NULL)
        return NULL;
    share->uid = uid;
    share->n_users = 1;
    share->left_ns = LEAST_NS;
    make_lists(&share->paused, &share->away, &share->batch.ready, &share->dear.ready);
    return share;
}

int share_start(struct shard *shard)
{
    shard->shares.parked = new_share((uid_t)-1);
    return shard->shares.parked != NULL ? 0 : -1;
}

static bool has_streams(const struct share *share)
{
    return !TAILQ_EMPTY(&share->batch.ready) || !TAILQ_EMPTY(&share->dear.ready);
}

void share_stop(struct shard *shard)
{
    assert(LIST_EMPTY(&shard->shares.all) && !has_streams(shard->shares.parked));
    free(shard->shares.parked);
}

struct share *share_join(struct shard *shard, uid_t uid)
{
    struct share *share;
    LIST_FOREACH(share, &shard->shares.all, link)
    if (share->uid == uid)
        return share_use(share);
    share = new_share(uid);
    if (share == NULL)
        return NULL;
    LIST_INSERT_HEAD(&shard->shares.all, share, link);
    return share;
}

struct share *share_use(struct share *share)
{
    share->n_users++;
    return share;
}

struct share *share_first(struct shard *shard)
{
    struct share *first = LIST_FIRST(&shard->shares.all);
    return first != NULL ? share_use(first) : NULL;
}

struct share *share_next(struct share *share)
{
    struct share *next = LIST_NEXT(share, link);
    return next != NULL ? share_use(next) : NULL;
}

void share_leave(struct share *share)
{
    if (--share->n_users > 0)
        return;
    assert(TAILQ_EMPTY(&share->paused) && STAILQ_EMPTY(&share->away) && !has_streams(share));
    LIST_REMOVE(share, link);
    free(share);
}

void share_charge(struct share *share, uint64_t took_ns)
{
    share->is_active = true;
    share->left_ns -= took_ns < MOST_DEBT_NS ? (int64_t)took_ns : MOST_DEBT_NS;
    if (share->left_ns < -MOST_DEBT_NS)
        share->left_ns = -MOST_DEBT_NS;
}

static int64_t share_ns(const struct shard *shard)
{
    const struct share *share, *first = LIST_FIRST(&shard->shares.all);
    int64_t n_active = 0;
    if (first == NULL || LIST_NEXT(first, link) == NULL)
        return ALONE_NS;
    LIST_FOREACH(share, &shard->shares.all, link)
    n_active += share->is_active;
    int64_t each = n_active > 0 ? TURN_NS / n_active : TURN_NS;
    return each > LEAST_NS ? each : LEAST_NS;
}

void share_begin_turn(struct shard *shard)
{
    struct share *share;
    int64_t each_ns = share_ns(shard);
    LIST_FOREACH(share, &shard->shares.all, link)
    {
        share->left_ns += each_ns;
        if (share->left_ns > each_ns)
            share->left_ns = each_ns;
        share->is_active = false;
    }
}
