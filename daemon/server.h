/* SPDX-License-Identifier: MIT */
/* The main thread's loop: it accepts and hands out connections, minds signals and systemd, and ends the shards. It
 * touches no stream. */
#pragma once

#include <uv.h>

#include "daemon/listener.h"
#include "daemon/options.h"
#include "daemon/reload.h"
#include "daemon/shard.h"
#include "daemon/status.h"

struct server {
    struct config config;
    struct options options;
    struct models models;
    struct listener listener;
    struct shared shared;
    struct reload reload;
    uv_loop_t loop;
    uv_poll_t accepting, until_eof;
    uv_signal_t on_terminate, on_interrupt, on_hangup;
    uv_timer_t watchdog, status, saving, accept_again;
    struct status told;
    struct log_quota log_quota; /* of lines about clients that are turned away */
    uv_async_t shard_ended;
    int reserve_fd; /* given up for a moment to answer a client where descriptors are short */
    uint64_t last_connection;
    unsigned n_running; /* shards */
    bool stopping;
    bool accept_is_short; /* nothing could be accepted at the last attempt, for want of descriptors or memory */
};

/* Each step of the start: 0, or -1 (logged). Main thread. */
int server_start_loop(struct server *server);
int server_learn_costs(struct server *server); /* of the models, which are loaded */
int server_start_shards(struct server *server);
int server_start_serving(struct server *server);

/* As many connections as configured, but fewer than there are descriptors. At the start, and after a reload. */
void server_bound_connections(struct server *server);

/* Runs until a signal, or the end of file that was waited for, and everything was settled. */
void server_run(struct server *server);

/* The reverse. The shards end here if server_run did not come to it. */
void server_stop_shards(struct server *server);
void server_stop_loop(struct server *server);
