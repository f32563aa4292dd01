/* SPDX-License-Identifier: MIT */
/* SIGHUP: the configuration and the models are read again, and take the place of the old ones where there is no mistake
 * in them; else everything stays as it is. Main thread, but for what reads the models. */
#pragma once

#include <uv.h>

#include "daemon/catalogue.h"

struct server;

struct reload {
    uv_async_t models_read;
    uv_thread_t thread;
    struct config *fresh;       /* while is_running */
    struct catalogue catalogue; /* the thread's, until models_read */
    int status;                 /* likewise: of catalogue_read */
    bool is_running, is_asked_again, has_failed;
    atomic_bool stop; /* the thread is to end soon */
};

/* Before the loop runs. */
void reload_init(struct server *server);

/* Reads all again; where that is being done, once more after it. */
void reload_begin(struct server *server);

/* Waits for a reading that still runs, and forgets it. After the loop has ended. */
void reload_stop(struct server *server);
