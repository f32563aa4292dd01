/* SPDX-License-Identifier: MIT */
/*
 * The order of one turn of the loop: sockets in the poll; then, in the check handle, mail, paused connections, one
 * batch, the requests that are due behind its frames, and what is to be sent leaves. Each of these is bounded in time,
 * and goes on in the next turn. While any of them wait, the idle handle makes the next poll return at once. The timer
 * looks for clients that say or read nothing, and at what the shard has done, and is the one thing that happens without
 * a poll's event.
 */
#include "daemon/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/admission.h"
#include "daemon/away.h"
#include "daemon/batch.h"
#include "daemon/connection.h"
#include "daemon/due.h"
#include "daemon/end.h"
#include "daemon/expiry.h"
#include "daemon/idle.h"
#include "daemon/log.h"
#include "daemon/pending.h"
#include "daemon/reply.h"
#include "daemon/requests.h"
#include "daemon/users.h"

#define TICK_MS 250

/* What mails from other threads may take of one turn. */
#define MAILS_NS 50000

static void close_handles(struct shard *shard)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&shard->turn.after_poll, (uv_handle_t *)&shard->turn.tick};
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
    away_close(shard);
    shard_close_handles(shard);
}

static void end_drained(struct shard *shard)
{
    struct connection *connection;
    bool is_over = shard_now_us() >= shard->turn.drain_until_us;
    struct attnp_error error;
    attnp_fail(&error, ATTNP_DRAINING,
               "attnd stops; connect again when it is back, and open with what was not answered");
    TAILQ_FOREACH(connection, &shard->connections.all, all)
    if (is_over || (requests_handler.is_settled(connection) && !connection->is_waiting))
        connection_end(connection, &error);
    connection_flush_all(shard);
    while (is_over && !TAILQ_EMPTY(&shard->connections.all))
        connection_break(TAILQ_FIRST(&shard->connections.all));
    if (TAILQ_EMPTY(&shard->connections.all)) {
        expiry_end_parked(shard, "draining");
        close_handles(shard);
    }
}

static void begin_drain(struct shard *shard)
{
    struct connection *connection;
    uint64_t drain_ms = config_number(shard->shared->config, CONFIG_timeouts_drain_ms);
    shard->turn.is_draining = true;
    shard->turn.drain_until_us = shard_now_us() + drain_ms * 1000;
    TAILQ_FOREACH(connection, &shard->connections.all, all)
    {
        if (connection->phase != CONNECTION_OPEN)
            continue;
        if (connection->session.state == ATTNP_READY)
            reply_event_drain(connection, drain_ms);
        connection_drain(connection);
    }
}

static void take_connection(struct shard *shard, const struct mail *mail)
{
    if (connection_open(shard, mail->fd, mail->connection, mail->uid, mail->pid) != 0) {
        log_warning("no memory for a connection of uid %u", (unsigned)mail->uid);
        shard_connection_gone(shard, mail->uid);
    }
}

static void open_mail(struct shard *shard, struct mail *mail)
{
    if (mail->kind != MAIL_CONNECTION) {
        requests_mail(shard, mail);
        return;
    }
    take_connection(shard, mail);
    free(mail);
}

/* As many as the time of a turn allows, and at least one. */
static void open_mails(struct shard *shard, uint64_t most_ns)
{
    uint64_t begun_ns = uv_hrtime();
    bool is_over = STAILQ_EMPTY(&shard->turn.mails);
    while (!is_over) {
        struct mail *mail = STAILQ_FIRST(&shard->turn.mails);
        STAILQ_REMOVE_HEAD(&shard->turn.mails, link);
        open_mail(shard, mail);
        is_over = STAILQ_EMPTY(&shard->turn.mails) || uv_hrtime() - begun_ns > most_ns;
    }
    shard_stay_busy(shard);
}

void loop_open_mails(struct shard *shard)
{
    open_mails(shard, MAILS_NS);
}

static void on_wake(uv_async_t *async)
{
    struct shard *shard = async->data;
    struct mails mails;
    struct lost lost;
    /* Looked at before the mail is: connections that came before the order to drain are then in it. */
    bool drain_asked = atomic_load(&shard->turn.drain_asked);
    mailbox_take(&shard->mailbox, &mails, &lost);
    STAILQ_CONCAT(&shard->turn.mails, &mails);
    requests_lost(shard, &lost);
    shard_stay_busy(shard);
    counters_set(&shard->turn.pulses, counters_get(&shard->turn.pulses_asked));
    if (drain_asked && !shard->turn.is_draining) {
        open_mails(shard, UINT64_MAX);
        begin_drain(shard);
    }
}

static void on_poll_ended(uv_check_t *check)
{
    struct shard *shard = check->data;
    loop_open_mails(shard);
    connection_begin_turn(shard);
    batch_run(shard);
    pending_run_due(shard);
    connection_flush_all(shard);
    if (shard->turn.is_draining)
        end_drained(shard);
}

static void on_tick(uv_timer_t *timer)
{
    struct shard *shard = timer->data;
    uint64_t now_us = shard_now_us();
    admission_tick(shard, now_us);
    connection_look_all(shard, now_us);
    expiry_look(shard, now_us);
    log_left_out(&shard->log_quota, now_us);
    connection_flush_all(shard);
    if (shard->turn.is_draining)
        end_drained(shard);
}

static void run(void *argument)
{
    struct shard *shard = argument;
    shard->turn.self = uv_thread_self();
    uv_run(&shard->loop, UV_RUN_DEFAULT);
    assert(shard->batch.n_ready == 0 && TAILQ_EMPTY(&shard->due.streams)); /* all was settled */
    atomic_store(&shard->turn.is_running, false);
    uv_async_send(shard->shared->shard_ended);
}

int loop_init(struct shard *shard, struct shared *shared, unsigned index)
{
    int status = UV_ENOMEM;
    if (share_start(shard) != 0)
        return status;
    if (connection_start(shard, &requests_handler) != 0)
        goto stop_shares;
    status = shard_init(shard, shared, index, on_wake);
    if (status != 0)
        goto stop_connections;
    status = away_start(shard);
    if (status != 0)
        goto stop_shard;
    batch_start(shard);
    due_start(shard);
    idle_start(shard);
    STAILQ_INIT(&shard->turn.mails);
    uv_check_init(&shard->loop, &shard->turn.after_poll);
    uv_timer_init(&shard->loop, &shard->turn.tick);
    shard->turn.after_poll.data = shard->turn.tick.data = shard;
    return 0;
stop_shard:
    shard_close_handles(shard);
    uv_run(&shard->loop, UV_RUN_DEFAULT);
    uv_loop_close(&shard->loop);
    shard_done(shard);
stop_connections:
    connection_stop(shard);
stop_shares:
    share_stop(shard);
    return status;
}

/* Signals are the main thread's business. */
int loop_start(struct shard *shard)
{
    sigset_t all, before;
    uv_check_start(&shard->turn.after_poll, on_poll_ended);
    uv_timer_start(&shard->turn.tick, on_tick, TICK_MS, TICK_MS);
    atomic_store(&shard->turn.is_running, true);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = uv_thread_create(&shard->turn.thread, run, shard);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0)
        atomic_store(&shard->turn.is_running, false);
    return status;
}

void loop_drain(struct shard *shard)
{
    atomic_store(&shard->turn.drain_asked, true);
    uv_async_send(&shard->wake);
}

void loop_join(struct shard *shard)
{
    uv_thread_join(&shard->turn.thread);
}

void loop_ask_pulse(struct shard *shard)
{
    counters_add(&shard->turn.pulses_asked, 1);
    if (atomic_load(&shard->turn.is_running))
        uv_async_send(&shard->wake);
}

bool loop_has_pulse(const struct shard *shard)
{
    return counters_get(&shard->turn.pulses) == counters_get(&shard->turn.pulses_asked) ||
           !atomic_load(&shard->turn.is_running);
}

/* A MAIL_STREAM that nobody opens any more. */
static void discard_stream(struct shard *shard, const struct mail *mail)
{
    struct card *card = registry_find(shard->shared->registry, mail->stream, shard->index, NULL);
    if (card != NULL)
        end_discard(shard, stream_of_card(card));
}

static void discard_mail(struct shard *shard, struct mail *mail)
{
    if (mail->kind == MAIL_CONNECTION) {
        close(mail->fd);
        shard_connection_gone(shard, mail->uid);
    } else if (mail->is_charged) {
        users_discharge(shard->shared->users, mail->uid, USERS_WAITING_REQUESTS, 1);
    } else if (mail->kind == MAIL_STREAM) {
        discard_stream(shard, mail);
    }
    free(mail);
}

void loop_done(struct shard *shard)
{
    struct mails mails;
    struct lost lost; /* by connections that are no more */
    close_handles(shard);
    uv_run(&shard->loop, UV_RUN_DEFAULT);
    int status = uv_loop_close(&shard->loop);
    assert(status == 0); /* every handle was closed */
    (void)status;
    mailbox_take(&shard->mailbox, &mails, &lost);
    STAILQ_CONCAT(&shard->turn.mails, &mails);
    while (!STAILQ_EMPTY(&shard->turn.mails)) {
        struct mail *mail = STAILQ_FIRST(&shard->turn.mails);
        STAILQ_REMOVE_HEAD(&shard->turn.mails, link);
        discard_mail(shard, mail);
    }
    away_stop(shard);
    connection_stop(shard);
    share_stop(shard);
    shard_done(shard);
}
