/* SPDX-License-Identifier: MIT */
/* SIGHUP: the configuration and the models are read again, and take the place of the old ones where there is no mistake
 * in them; else everything stays as it is. Main thread, but for what reads the models. */
#pragma once

#include <stdatomic.h>
#include <uv.h>

#include "daemon/catalogue.h"
#include "daemon/models.h"
#include "daemon/options.h"
#include "daemon/shard.h"

/* What is read again, and who uses it. */
struct reload_target {
    const struct options *options;
    struct config *config; /* the live one */
    struct models *models;
    const struct shared *shared;
    void (*applied)(void *argument); /* the numbers of `config` may be others */
    void *argument;
};

struct reload {
    struct reload_target target;
    uv_async_t models_read;
    uv_thread_t thread;
    struct config *fresh;       /* while is_running */
    struct catalogue catalogue; /* the thread's, until models_read */
    int status;                 /* likewise: of catalogue_read */
    bool is_running, is_asked_again, has_failed, is_stopping;
    atomic_bool stop; /* the thread is to end soon */
};

/* Before the loop runs. */
void reload_init(struct reload *reload, uv_loop_t *loop, const struct reload_target *target);

/* Reads all again; where that is being done, once more after it. */
void reload_begin(struct reload *reload);

/* The daemon stops: nothing is read again any more, and what is being read is forgotten. */
void reload_stop(struct reload *reload);

/* Waits for a reading that still runs. After the loop has ended. */
void reload_done(struct reload *reload);
