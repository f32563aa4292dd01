/* SPDX-License-Identifier: MIT */
#include "daemon/away.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The shard is told last, when nothing is left that it might have to wait for. */
static void perform(struct job *job)
{
    struct away *away = (struct away *)job;
    struct shard *shard = away->shard;
    away->kind->run(away);
    jobs_put(&shard->away.done, job);
    eventfd_write(shard->away.fd, 1);
}

/* The first leaves its user's queue. */
static void end_first(struct away *away)
{
    struct share *share = away->share;
    STAILQ_REMOVE_HEAD(&share->away, link);
    away->kind->back(away);
    share_leave(share);
}

/* Work that nobody waits for any more is left out: the daemon is not to end later because of it. */
static void run_next(struct share *share)
{
    struct away *away;
    share_use(share);
    while ((away = STAILQ_FIRST(&share->away)) != NULL && !away->is_running) {
        if (away->kind->is_wanted == NULL || away->kind->is_wanted(away)) {
            away->is_running = true;
            away->shard->away.n_out++;
            workers_give(away->shard->shared->workers, &away->job);
            break;
        }
        end_first(away);
    }
    share_leave(share);
}

static void come_back(struct away *away)
{
    struct share *share = share_use(away->share);
    end_first(away);
    run_next(share);
    share_leave(share);
}

static void close_if_over(struct shard *shard)
{
    if (shard->away.is_closing && shard->away.n_out == 0 && !uv_is_closing((uv_handle_t *)&shard->away.done_poll))
        uv_close((uv_handle_t *)&shard->away.done_poll, NULL);
}

static void on_done(uv_poll_t *poll, int status, int events)
{
    struct shard *shard = poll->data;
    eventfd_t n_told;
    struct job *job, *next;
    (void)status, (void)events;
    if (eventfd_read(shard->away.fd, &n_told) == 0)
        shard->away.n_out -= n_told;
    for (job = jobs_take(&shard->away.done); job != NULL; job = next) {
        next = job->next;
        come_back((struct away *)job);
    }
    close_if_over(shard);
}

int away_start(struct shard *shard)
{
    shard->away.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (shard->away.fd < 0)
        return uv_translate_sys_error(errno);
    int status = uv_poll_init(&shard->loop, &shard->away.done_poll, shard->away.fd);
    if (status != 0) {
        close(shard->away.fd);
        return status;
    }
    shard->away.done_poll.data = shard;
    status = uv_poll_start(&shard->away.done_poll, UV_READABLE, on_done);
    if (status != 0) {
        uv_close((uv_handle_t *)&shard->away.done_poll, NULL);
        uv_run(&shard->loop, UV_RUN_NOWAIT);
        close(shard->away.fd);
    }
    return status;
}

void away_close(struct shard *shard)
{
    shard->away.is_closing = true;
    close_if_over(shard);
}

void away_stop(struct shard *shard)
{
    close(shard->away.fd);
}

void away_send(struct away *away, struct shard *shard, struct share *share, const struct away_kind *kind)
{
    bool is_first = STAILQ_EMPTY(&share->away);
    away->job.perform = perform;
    away->shard = shard;
    away->share = share_use(share);
    away->kind = kind;
    away->is_running = false;
    STAILQ_INSERT_TAIL(&share->away, away, link);
    if (is_first)
        run_next(share);
}
