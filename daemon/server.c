/* SPDX-License-Identifier: MIT */
#include "daemon/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/costs.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/systemd.h"
#include "daemon/traffic.h"
#include "daemon/users.h"

/* Descriptors that are no user's connection: standard ones, the loops' and their pipes (5 a shard), models while they
 * load, operators' connections above the limit, spare. */
#define OTHER_DESCRIPTORS(n_shards) (32 + USERS_OPERATOR_CONNECTIONS + 7 * (uint64_t)(n_shards))

/* Threads for what takes long. Each shard has one piece of a user's work done at a time, so one user takes as many
 * threads as there are shards; so many more are left for others. */
#define WORKERS_BESIDE 4

#define STATUS_MS 5000
#define SAVING_MS 180000

static void stop_serving(struct server *server)
{
    systemd_stopping();
    server->stopping = true;
    reload_stop(&server->reload);
    accept_stop(&server->accept, server->listener.lock_fd >= 0); /* systemd's socket goes to the next daemon */
    listener_close(&server->listener);
    for (unsigned i = 0; i < server->shared.n_shards; i++)
        loop_drain(&server->shared.shards[i]);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (server->stopping) {
        log_warning("%s again: ending at once; frames that were accepted may be lost",
                    number == SIGTERM ? "SIGTERM" : "SIGINT");
        _exit(EXIT_FAILURE);
    }
    log_info("%s: settling what was accepted, for at most %ju ms; once more ends at once",
             number == SIGTERM ? "SIGTERM" : "SIGINT",
             (uintmax_t)config_number(&server->config, CONFIG_timeouts_drain_ms));
    stop_serving(server);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    (void)number;
    if (server->stopping)
        return;
    log_info("SIGHUP: reading the configuration again");
    reload_begin(&server->reload);
}

static void on_eof(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    char discarded[64];
    (void)events;
    ssize_t n_read = status == 0 ? read(server->options.until_eof, discarded, sizeof(discarded)) : 0;
    if (n_read > 0 || (n_read < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    uv_poll_stop(poll);
    if (!server->stopping) {
        log_debug("end of file on descriptor %d: settling what was accepted", server->options.until_eof);
        stop_serving(server);
    }
}

static void on_shard_ended(uv_async_t *async)
{
    struct server *server = async->data;
    for (unsigned i = 0; i < server->shared.n_shards; i++)
        if (atomic_load(&server->shared.shards[i].turn.is_running))
            return;
    uv_stop(&server->loop);
}

/* The ping goes out only if each shard has answered the one before: a shard that hangs has systemd restart the daemon.
 */
static void on_watchdog(uv_timer_t *timer)
{
    struct server *server = timer->data;
    for (unsigned i = 0; i < server->shared.n_shards; i++)
        if (!loop_has_pulse(&server->shared.shards[i]))
            return;
    systemd_alive();
    for (unsigned i = 0; i < server->shared.n_shards; i++)
        loop_ask_pulse(&server->shared.shards[i]);
}

static void on_status(uv_timer_t *timer)
{
    struct server *server = timer->data;
    char line[STATUS_BYTES];
    accept_look(&server->accept);
    log_lost();
    if (server->stopping)
        return;
    status_line(&server->told, &server->shared, line);
    systemd_status("%s%s", line,
                   server->reload.has_failed ? "; the last reload failed: the old configuration stays in force" : "");
}

/* What a frame costs besides computing is the shards' mean. */
static void save_costs(struct server *server, bool always)
{
    const struct shared *shared = &server->shared;
    double sum_ns = 0;
    for (unsigned i = 0; i < shared->n_shards; i++)
        sum_ns += (double)counters_get(&shared->shards[i].ledger.overhead_ns);
    costs_save(shared->costs, sum_ns / shared->n_shards, always);
}

static void on_saving(uv_timer_t *timer)
{
    save_costs(timer->data, false);
}

/* As many connections as configured, but fewer than there are descriptors. At the start, and after a reload. */
static void bound_connections(void *argument)
{
    const struct server *server = argument;
    struct rlimit limit;
    uint64_t others = OTHER_DESCRIPTORS(server->shared.n_shards),
             wanted = config_number(&server->config, CONFIG_limits_connections);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t most = limit.rlim_cur > others ? limit.rlim_cur - others : 1;
    users_bound_connections(server->shared.users, most);
    if (wanted > most)
        log_warning("at most %ju connections instead of %ju: %ju descriptors are allowed (LimitNOFILE=, ulimit -n)",
                    (uintmax_t)most, (uintmax_t)wanted, (uintmax_t)limit.rlim_cur);
}

int server_start_loop(struct server *server)
{
    const struct reload_target target = {
        .options = &server->options,
        .config = &server->config,
        .models = &server->models,
        .shared = &server->shared,
        .applied = bound_connections,
        .argument = server,
    };
    int status = uv_loop_init(&server->loop);
    if (status != 0) {
        log_error("the main loop cannot start: %s", uv_strerror(status));
        return -1;
    }
    uv_signal_init(&server->loop, &server->on_terminate);
    uv_signal_init(&server->loop, &server->on_interrupt);
    uv_signal_init(&server->loop, &server->on_hangup);
    uv_timer_init(&server->loop, &server->watchdog);
    uv_timer_init(&server->loop, &server->status);
    uv_timer_init(&server->loop, &server->saving);
    uv_async_init(&server->loop, &server->shard_ended, on_shard_ended);
    reload_init(&server->reload, &server->loop, &target);
    server->on_terminate.data = server->on_interrupt.data = server->on_hangup.data = server;
    server->watchdog.data = server->status.data = server->saving.data = server;
    server->shard_ended.data = server;
    server->shared.shard_ended = &server->shard_ended;
    /* From before anybody can connect, so that no stop leaves a client without a word. */
    uv_signal_start(&server->on_terminate, on_stop_signal, SIGTERM);
    uv_signal_start(&server->on_interrupt, on_stop_signal, SIGINT);
    uv_signal_start(&server->on_hangup, on_hangup, SIGHUP);
    return 0;
}

int server_learn_costs(struct server *server)
{
    const char *directory = config_text(&server->config, CONFIG_daemon_state_directory);
    server->shared.costs = costs_new(directory[0] != '\0' ? directory : systemd_state_directory());
    if (server->shared.costs == NULL) {
        log_error("no memory for the table of costs");
        return -1;
    }
    costs_load(server->shared.costs);
    costs_learn_models(server->shared.costs, &server->models);
    return 0;
}

static unsigned count_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* 0, or libuv's error. */
static int start_shard(struct shared *shared)
{
    struct shard *shard = &shared->shards[shared->n_shards];
    int status = loop_init(shard, shared, shared->n_shards);
    if (status != 0)
        return status;
    status = loop_start(shard);
    if (status != 0)
        loop_done(shard);
    else
        shared->n_shards++;
    return status;
}

static void give_way(const void *shared)
{
    shard_give_way(shared);
}

int server_start_shards(struct server *server)
{
    struct shared *shared = &server->shared;
    unsigned n = (unsigned)config_number(&server->config, CONFIG_daemon_shards);
    if (n == 0)
        n = count_processors();
    shared->config = &server->config;
    shared->models = &server->models;
    shared->uid = geteuid();
    shared->started_us = shard_now_us();
    shared->shards = calloc(n, sizeof(*shared->shards));
    shared->traffic = traffic_book_new(n);
    shared->workers = workers_new(n + WORKERS_BESIDE, give_way, shared);
    if (shared->shards == NULL || shared->traffic == NULL || shared->workers == NULL) {
        log_error("no memory for %u shards", n);
        server_stop_shards(server);
        return -1;
    }
    int status = 0;
    while (status == 0 && shared->n_shards < n)
        status = start_shard(shared);
    if (status == 0)
        return 0;
    log_error("shard %u cannot start: %s; lower shards in [daemon]", shared->n_shards, uv_strerror(status));
    server_stop_shards(server);
    return -1;
}

static int watch_until_eof(struct server *server)
{
    int fd = server->options.until_eof;
    int status = fd >= 0 ? uv_poll_init(&server->loop, &server->until_eof, fd) : 0;
    server->until_eof.data = server;
    if (fd >= 0 && status == 0)
        status = uv_poll_start(&server->until_eof, UV_READABLE | UV_DISCONNECT, on_eof);
    if (status != 0)
        log_error("--until-eof %d: the descriptor cannot be watched: %s; give a pipe or a socket", fd,
                  uv_strerror(status));
    return status == 0 ? 0 : -1;
}

int server_start_serving(struct server *server)
{
    uint64_t watchdog_ms = systemd_watchdog_us() / 2000;
    bound_connections(server);
    if (watch_until_eof(server) != 0 ||
        accept_start(&server->accept, &server->loop, &server->shared, &server->listener) != 0)
        return -1;
    if (watchdog_ms > 0)
        uv_timer_start(&server->watchdog, on_watchdog, 0, watchdog_ms);
    status_init(&server->told);
    uv_timer_start(&server->status, on_status, STATUS_MS, STATUS_MS);
    uv_timer_start(&server->saving, on_saving, SAVING_MS, SAVING_MS);
    return 0;
}

void server_run(struct server *server)
{
    log_info("serving %zu models on %s with %u shards", models_count(&server->models),
             server->listener.lock_fd >= 0 ? server->listener.path : "systemd's socket", server->shared.n_shards);
    systemd_ready("serving %zu models with %u shards", models_count(&server->models), server->shared.n_shards);
    save_costs(server, false);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    reload_done(&server->reload);
    save_costs(server, true);
}

void server_stop_shards(struct server *server)
{
    struct shared *shared = &server->shared;
    for (unsigned i = 0; i < shared->n_shards; i++)
        if (atomic_load(&shared->shards[i].turn.is_running))
            loop_drain(&shared->shards[i]);
    for (unsigned i = 0; i < shared->n_shards; i++)
        loop_join(&shared->shards[i]);
    for (unsigned i = 0; i < shared->n_shards; i++)
        loop_done(&shared->shards[i]);
    workers_free(shared->workers);
    free(shared->shards);
    traffic_book_free(shared->traffic);
    shared->shards = NULL;
    shared->traffic = NULL;
    shared->workers = NULL;
    shared->n_shards = 0;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void server_stop_loop(struct server *server)
{
    uv_walk(&server->loop, close_handle, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    int status = uv_loop_close(&server->loop);
    assert(status == 0); /* every handle was closed */
    (void)status;
    accept_done(&server->accept);
}
