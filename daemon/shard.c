/* SPDX-License-Identifier: MIT */
#include "daemon/shard.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/costs.h"
#include "daemon/users.h"

int shard_init(struct shard *shard, struct shared *shared, unsigned index, uv_async_cb on_wake)
{
    shard->shared = shared;
    shard->index = index;
    int status = uv_loop_init(&shard->loop);
    if (status != 0)
        return status;
    status = uv_async_init(&shard->loop, &shard->wake, on_wake);
    if (status != 0) {
        uv_loop_close(&shard->loop);
        return status;
    }
    shard->wake.data = shard;
    uv_idle_init(&shard->loop, &shard->busy);
    mailbox_init(&shard->mailbox);
    attnp_writer_init(&shard->writer);
    ledger_init(&shard->ledger, costs_overhead_ns(shared->costs));
    return 0;
}

void shard_close_handles(struct shard *shard)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&shard->wake, (uv_handle_t *)&shard->busy};
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
}

void shard_done(struct shard *shard)
{
    mailbox_done(&shard->mailbox);
    attnp_writer_done(&shard->writer);
    ledger_done(&shard->ledger);
    free(shard->scratch);
}

void shard_post(struct shard *shard, struct mail *mail)
{
    mailbox_post(&shard->mailbox, mail);
    uv_async_send(&shard->wake);
}

void shard_lose(struct shard *shard, const struct asker *asker)
{
    mailbox_lose(&shard->mailbox, asker);
    uv_async_send(&shard->wake);
}

void shard_connection_given(struct shard *shard)
{
    atomic_fetch_add(&shard->n_assigned, 1);
}

void shard_connection_gone(struct shard *shard, uid_t uid)
{
    atomic_fetch_sub(&shard->n_assigned, 1);
    users_discharge(shard->shared->users, uid, USERS_CONNECTIONS, 1);
}

bool shard_is_own_thread(const struct shard *shard)
{
    uv_thread_t self = uv_thread_self();
    return !atomic_load_explicit(&shard->turn.is_running, memory_order_relaxed) ||
           uv_thread_equal(&self, &shard->turn.self);
}

int shard_reserve_scratch(struct shard *shard, size_t n_bytes)
{
    assert(shard_is_own_thread(shard));
    if (n_bytes <= shard->scratch_bytes)
        return 0;
    void *larger = aligned_alloc(PLAN_ALIGN, n_bytes);
    if (larger == NULL)
        return -1;
    free(shard->scratch);
    shard->scratch = larger;
    shard->scratch_bytes = n_bytes;
    return 0;
}

static void no_work(uv_idle_t *idle)
{
    (void)idle;
}

void shard_stay_busy(struct shard *shard)
{
    assert(shard_is_own_thread(shard));
    if (shard->batch.n_ready == 0 && shard->connections.n_paused == 0 && STAILQ_EMPTY(&shard->turn.mails) &&
        TAILQ_EMPTY(&shard->due.streams))
        uv_idle_stop(&shard->busy);
    else if (!uv_is_closing((uv_handle_t *)&shard->busy))
        uv_idle_start(&shard->busy, no_work);
}
