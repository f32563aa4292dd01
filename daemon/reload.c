/* SPDX-License-Identifier: MIT */
/*
 * Files of the configuration are small and read at once; models may be large, and are read by a thread that lives for
 * one reload, so that accepting and the watchdog go on. Nothing is changed before all was read without a mistake, and
 * then everything within one turn of the main loop: what comes next sees the new state whole.
 *
 * Shards notice nothing: they read numbers of the configuration when they need them, and take a model, under the
 * mutex of models, only when a stream is opened.
 */
#include "daemon/reload.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/costs.h"
#include "daemon/log.h"
#include "daemon/systemd.h"

static void log_change(const struct config_change *change)
{
    const char *was = change->was[0] != '\0' ? change->was : "(empty)";
    const char *is = change->is[0] != '\0' ? change->is : "(empty)";
    if (change->is_applied)
        log_info("%s in [%s]: %s -> %s (%s)", change->name, change->section, was, is, change->origin);
    else
        log_warning("%s in [%s]: %s -> %s (%s) needs a restart; until then it stays %s", change->name, change->section,
                    was, is, change->origin, was);
}

static void apply(struct reload *reload)
{
    static const struct log_about reloaded = {.event = "reloaded"};
    struct reload_target *target = &reload->target;
    config_apply(target->config, reload->fresh, log_change);
    target->applied(target->argument);
    models_replace(target->models, &reload->catalogue);
    log_with(LOG_LEVEL_INFO, &reloaded, "the configuration was read again; serving %zu models",
             models_count(target->models));
    log_set_level(config_number(target->config, CONFIG_daemon_log_level)); /* which may hide that line */
    systemd_ready("serving %zu models with %u shards", models_count(target->models), target->shared->n_shards);
}

static void end(struct reload *reload, bool is_good)
{
    static const struct log_about failed = {.event = "reload_failed"};
    if (is_good) {
        apply(reload);
    } else {
        log_with(LOG_LEVEL_ERROR, &failed,
                 "the configuration was read again and is not used: the old one and its models stay in force");
        systemd_ready("the last reload failed: the old configuration stays in force; the log says why");
    }
    reload->has_failed = !is_good;
    reload->is_running = false;
    free(reload->fresh);
    reload->fresh = NULL;
    if (reload->is_asked_again)
        reload_begin(reload);
}

static bool is_new(const struct catalogue *before, const struct model *model)
{
    for (size_t i = 0; i < before->n; i++)
        if (before->entries[i].model == model)
            return false;
    return true;
}

/* What a frame of each new model costs is known before it is served. */
static void learn_costs(struct reload *reload)
{
    const struct reload_target *target = &reload->target;
    for (size_t i = 0; i < reload->catalogue.n && !atomic_load(&reload->stop); i++)
        if (is_new(&target->models->catalogue, reload->catalogue.entries[i].model))
            costs_learn(target->shared->costs, reload->catalogue.entries[i].model, COSTS_MODEL_NS);
}

static void read_models(void *argument)
{
    struct reload *reload = argument;
    sigset_t all;
    sigfillset(&all); /* signals are the main thread's business */
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    reload->status = catalogue_read(&reload->catalogue, reload->fresh, &reload->target.models->catalogue,
                                    reload->target.shared->users, &reload->stop);
    if (reload->status == 0)
        learn_costs(reload);
    uv_async_send(&reload->models_read);
}

static void on_models_read(uv_async_t *async)
{
    struct reload *reload = async->data;
    if (reload->is_stopping)
        return;
    uv_thread_join(&reload->thread);
    end(reload, reload->status == 0);
}

/* True: the files are right. Mistakes are logged, one line each. */
static bool read_configuration(const struct reload *reload, struct config *fresh)
{
    char *text = NULL;
    size_t n_text;
    FILE *complaints = open_memstream(&text, &n_text);
    if (complaints == NULL) {
        log_error("no memory to read the configuration again");
        return false;
    }
    int status = options_configure(reload->target.options, fresh, complaints);
    fclose(complaints);
    for (char *rest = text, *line; text != NULL && (line = strtok_r(rest, "\n", &rest)) != NULL;)
        log_error("%s", line);
    free(text);
    return status == 0;
}

void reload_init(struct reload *reload, uv_loop_t *loop, const struct reload_target *target)
{
    reload->target = *target;
    uv_async_init(loop, &reload->models_read, on_models_read);
    reload->models_read.data = reload;
}

void reload_begin(struct reload *reload)
{
    if (reload->is_stopping)
        return;
    reload->is_asked_again = reload->is_running;
    if (reload->is_running)
        return;
    systemd_reloading();
    reload->is_running = true;
    reload->fresh = malloc(sizeof(*reload->fresh));
    if (reload->fresh == NULL)
        log_error("no memory to read the configuration again");
    if (reload->fresh == NULL || !read_configuration(reload, reload->fresh)) {
        end(reload, false);
        return;
    }
    int status = uv_thread_create(&reload->thread, read_models, reload);
    if (status != 0) {
        log_error("no thread to read the models: %s", uv_strerror(status));
        end(reload, false);
    }
}

void reload_stop(struct reload *reload)
{
    reload->is_stopping = true;
}

void reload_done(struct reload *reload)
{
    if (!reload->is_running)
        return;
    atomic_store(&reload->stop, true);
    uv_thread_join(&reload->thread);
    catalogue_done(&reload->catalogue);
    free(reload->fresh);
    reload->fresh = NULL;
    reload->is_running = false;
}
