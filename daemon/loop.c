/* SPDX-License-Identifier: MIT */
/*
 * The order of one turn of the loop: mail and sockets in the poll; then, in the check handle, paused connections, one
 * batch, and what is to be sent leaves. While any of these wait, the idle handle makes the next poll return at once.
 * The timer looks for clients that say or read nothing, and at what the shard has done, and is the one thing that
 * happens without a poll's event.
 */
#include "daemon/shard.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/batch.h"
#include "daemon/connection.h"
#include "daemon/idle.h"
#include "daemon/log.h"
#include "daemon/reply.h"
#include "daemon/requests.h"

#define TICK_MS 250

void shard_post(struct shard *shard, struct mail *mail)
{
    mailbox_post(&shard->mailbox, mail);
    uv_async_send(&shard->wake);
}

void shard_connection_gone(struct shard *shard, uid_t uid)
{
    atomic_fetch_sub(&shard->n_assigned, 1);
    users_discharge(shard->shared->users, uid, USERS_CONNECTIONS, 1);
}

int shard_reserve_scratch(struct shard *shard, size_t n_bytes)
{
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
    if (TAILQ_EMPTY(&shard->ready) && TAILQ_EMPTY(&shard->paused))
        uv_idle_stop(&shard->busy);
    else if (!uv_is_closing((uv_handle_t *)&shard->busy))
        uv_idle_start(&shard->busy, no_work);
}

static void close_handles(struct shard *shard)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&shard->wake, (uv_handle_t *)&shard->after_poll,
                              (uv_handle_t *)&shard->busy, (uv_handle_t *)&shard->tick};
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
}

static bool has_waiting_frames(const struct connection *connection)
{
    for (size_t i = 0; i < connection->n_streams; i++)
        if (attnp_sequence_waiting(&connection->streams[i]->sequence) > 0)
            return true;
    return false;
}

static void end_drained(struct shard *shard)
{
    struct connection *connection;
    bool is_over = shard_now_us() >= shard->drain_until_us;
    struct attnp_error error;
    attnp_fail(&error, ATTNP_DRAINING,
               "attnd stops; connect again when it is back, and open with what was not answered");
    TAILQ_FOREACH(connection, &shard->connections, all)
    if (is_over || !has_waiting_frames(connection))
        connection_end(connection, &error);
    connection_flush_all(shard);
    while (is_over && !TAILQ_EMPTY(&shard->connections))
        connection_break(TAILQ_FIRST(&shard->connections));
    if (TAILQ_EMPTY(&shard->connections)) {
        idle_end_parked(shard, "draining");
        close_handles(shard);
    }
}

static void begin_drain(struct shard *shard)
{
    struct connection *connection;
    uint64_t drain_ms = config_number(shard->shared->config, CONFIG_timeouts_drain_ms);
    shard->draining = true;
    shard->drain_until_us = shard_now_us() + drain_ms * 1000;
    TAILQ_FOREACH(connection, &shard->connections, all)
    {
        if (connection->phase != CONNECTION_OPEN)
            continue;
        if (connection->session.state == ATTNP_READY)
            reply_event_drain(connection, drain_ms);
        connection->is_drained = true;
        connection_stop_reading(connection);
    }
}

static void take_connection(struct shard *shard, const struct mail *mail)
{
    if (connection_open(shard, mail->fd, mail->connection, mail->uid, mail->pid) != 0) {
        log_warning("no memory for a connection of uid %u", (unsigned)mail->uid);
        shard_connection_gone(shard, mail->uid);
    }
}

static void on_wake(uv_async_t *async)
{
    struct shard *shard = async->data;
    struct mails mails;
    /* Looked at before the mail is: connections that came before it are then in it. */
    bool drain_asked = atomic_load(&shard->drain_asked);
    mailbox_take(&shard->mailbox, &mails);
    while (!STAILQ_EMPTY(&mails)) {
        struct mail *mail = STAILQ_FIRST(&mails);
        STAILQ_REMOVE_HEAD(&mails, link);
        if (mail->kind != MAIL_CONNECTION) {
            requests_mail(shard, mail);
            continue;
        }
        take_connection(shard, mail);
        free(mail);
    }
    counters_set(&shard->pulses, counters_get(&shard->pulses_asked));
    if (drain_asked && !shard->draining)
        begin_drain(shard);
}

/* As a time, not as a wait: whoever looks while a long batch is computed sees the wait grow. */
static void note_oldest(struct shard *shard)
{
    const struct stream *first = TAILQ_FIRST(&shard->ready);
    counters_set(&shard->counters.oldest_us, first != NULL ? stream_oldest_us(first) : 0);
}

static void on_poll_ended(uv_check_t *check)
{
    struct shard *shard = check->data;
    shard->n_turns++;
    connection_resume_all(shard);
    note_oldest(shard);
    batch_run(shard);
    connection_flush_all(shard);
    note_oldest(shard);
    if (shard->draining)
        end_drained(shard);
}

static void on_tick(uv_timer_t *timer)
{
    struct shard *shard = timer->data;
    struct connection *connection, *next;
    uint64_t now_us = shard_now_us();
    admission_tick(shard, now_us);
    for (connection = TAILQ_FIRST(&shard->connections); connection != NULL; connection = next) {
        next = TAILQ_NEXT(connection, all);
        connection_look(connection, now_us);
    }
    idle_look(shard, now_us);
    log_left_out(&shard->log_quota, now_us);
    connection_flush_all(shard);
    if (shard->draining)
        end_drained(shard);
}

static void run(void *argument)
{
    struct shard *shard = argument;
    uv_run(&shard->loop, UV_RUN_DEFAULT);
    atomic_store(&shard->is_running, false);
    uv_async_send(shard->shared->shard_ended);
}

/* Signals are the main thread's business. */
static int start_thread(struct shard *shard)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = uv_thread_create(&shard->thread, run, shard);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static void free_memory(struct shard *shard)
{
    struct mails mails;
    mailbox_take(&shard->mailbox, &mails);
    while (!STAILQ_EMPTY(&mails)) {
        struct mail *mail = STAILQ_FIRST(&mails);
        STAILQ_REMOVE_HEAD(&mails, link);
        if (mail->kind == MAIL_CONNECTION) {
            close(mail->fd);
            shard_connection_gone(shard, mail->uid);
        } else if (mail->is_charged)
            users_discharge(shard->shared->users, mail->uid, USERS_WAITING_REQUESTS, 1);
        else if (mail->kind == MAIL_STREAM)
            attach_discard(shard, mail);
        free(mail);
    }
    mailbox_done(&shard->mailbox);
    attnp_writer_done(&shard->writer);
    ledger_done(&shard->ledger);
    free(shard->scratch);
    free(shard->input);
}

int shard_start(struct shard *shard, struct shared *shared, unsigned index)
{
    memset(shard, 0, sizeof(*shard));
    shard->shared = shared;
    shard->index = index;
    shard->handler = &requests_handler;
    TAILQ_INIT(&shard->connections);
    TAILQ_INIT(&shard->dirty);
    TAILQ_INIT(&shard->paused);
    TAILQ_INIT(&shard->ready);
    TAILQ_INIT(&shard->active);
    TAILQ_INIT(&shard->warned);
    TAILQ_INIT(&shard->parked);
    ledger_init(&shard->ledger, costs_overhead_ns(shared->costs));
    shard->input = malloc(SHARD_INPUT_BYTES);
    int status = shard->input != NULL ? uv_loop_init(&shard->loop) : UV_ENOMEM;
    if (status != 0) {
        free(shard->input);
        log_error("shard %u cannot start: %s", index, uv_strerror(status));
        return -1;
    }
    mailbox_init(&shard->mailbox);
    attnp_writer_init(&shard->writer);
    uv_check_init(&shard->loop, &shard->after_poll);
    uv_idle_init(&shard->loop, &shard->busy);
    uv_timer_init(&shard->loop, &shard->tick);
    shard->wake.data = shard->after_poll.data = shard->tick.data = shard;
    uv_check_start(&shard->after_poll, on_poll_ended);
    uv_timer_start(&shard->tick, on_tick, TICK_MS, TICK_MS);
    status = uv_async_init(&shard->loop, &shard->wake, on_wake);
    atomic_store(&shard->is_running, true);
    if (status == 0 && (status = start_thread(shard)) == 0)
        return 0;
    atomic_store(&shard->is_running, false);
    close_handles(shard);
    uv_run(&shard->loop, UV_RUN_DEFAULT);
    uv_loop_close(&shard->loop);
    free_memory(shard);
    log_error("shard %u cannot start: %s; lower shards in [daemon]", index, uv_strerror(status));
    return -1;
}

void shard_drain(struct shard *shard)
{
    atomic_store(&shard->drain_asked, true);
    uv_async_send(&shard->wake);
}

void shard_join(struct shard *shard)
{
    uv_thread_join(&shard->thread);
}

void shard_done(struct shard *shard)
{
    int status = uv_loop_close(&shard->loop);
    assert(status == 0); /* every handle was closed */
    (void)status;
    free_memory(shard);
}
