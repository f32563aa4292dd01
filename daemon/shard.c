/* SPDX-License-Identifier: MIT */
#include "daemon/shard.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>

#include "daemon/costs.h"
#include "daemon/users.h"

/* Shards that shard_give_way looks at in one call of the kernel. */
#define LOOKED_AT 64

static void on_poll(uv_prepare_t *prepare)
{
    struct shard *shard = prepare->data;
    atomic_store_explicit(&shard->is_polling, true, memory_order_relaxed);
}

static void on_polled(uv_check_t *check)
{
    struct shard *shard = check->data;
    atomic_store_explicit(&shard->is_polling, false, memory_order_relaxed);
}

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
    shard->wake.data = shard->polls.data = shard->has_polled.data = shard;
    shard->poll_fd = uv_backend_fd(&shard->loop);
    uv_idle_init(&shard->loop, &shard->busy);
    uv_prepare_init(&shard->loop, &shard->polls);
    uv_check_init(&shard->loop, &shard->has_polled);
    uv_prepare_start(&shard->polls, on_poll);
    uv_check_start(&shard->has_polled, on_polled);
    mailbox_init(&shard->mailbox);
    attnp_writer_init(&shard->writer);
    ledger_init(&shard->ledger, costs_overhead_ns(shared->costs));
    return 0;
}

void shard_close_handles(struct shard *shard)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&shard->wake, (uv_handle_t *)&shard->busy, (uv_handle_t *)&shard->polls,
                              (uv_handle_t *)&shard->has_polled};
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

/* One of these shards has something to do, and does not run yet. */
static bool is_awaited(const struct shard *shards, unsigned n)
{
    struct pollfd polled[LOOKED_AT];
    nfds_t n_polled = 0;
    for (unsigned i = 0; i < n; i++)
        if (atomic_load_explicit(&shards[i].is_polling, memory_order_relaxed))
            polled[n_polled++] = (struct pollfd){.fd = shards[i].poll_fd, .events = POLLIN};
    return n_polled > 0 && poll(polled, n_polled, 0) > 0;
}

bool shard_give_way(const struct shared *shared)
{
    int saved = errno;
    bool is_given = false;
    for (unsigned i = 0; i < shared->n_shards && !is_given; i += LOOKED_AT)
        is_given = is_awaited(&shared->shards[i], shared->n_shards - i < LOOKED_AT ? shared->n_shards - i : LOOKED_AT);
    if (is_given)
        sched_yield();
    errno = saved;
    return is_given;
}
