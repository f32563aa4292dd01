/* SPDX-License-Identifier: MIT */
/* The main thread's loop: it accepts and hands out connections, minds signals and systemd, and ends the shards. It
 * touches no stream. */
#pragma once

#include <uv.h>

#include "daemon/accept.h"
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
    struct accept accept;
    uv_loop_t loop;
    uv_poll_t until_eof;
    uv_signal_t on_terminate, on_interrupt, on_hangup;
    uv_timer_t watchdog, status, saving;
    struct status told;
    uv_async_t shard_ended;
    bool stopping;
};

/* Each step of the start: 0, or -1 (logged). Main thread. */
int server_start_loop(struct server *server);
int server_learn_costs(struct server *server); /* of the models, which are loaded */
int server_start_shards(struct server *server);
int server_start_serving(struct server *server);

/* Runs until a signal, or the end of file that was waited for, and everything was settled. */
void server_run(struct server *server);

/* The reverse. The shards end here if server_run did not come to it. */
void server_stop_shards(struct server *server);
void server_stop_loop(struct server *server);
