/* SPDX-License-Identifier: MIT */
#include "daemon/models.h"

#include <string.h>

#include "daemon/log.h"

static void log_changes(const struct catalogue *before, const struct catalogue *now)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct model *model = now->entries[i].model;
        const struct model *old = catalogue_find(before, model->name, strlen(model->name));
        if (model != old)
            log_info("model '%s' from %s: %u floats a frame, %u an output, window %u%s", model->name,
                     now->entries[i].path, plan_facts(model->plan)->input_dim,
                     plan_output_dim(model->plan, ATTNP_OUTPUT_SCORES), plan_facts(model->plan)->window,
                     old != NULL ? "; it replaces the older one for new streams" : "");
    }
    for (size_t i = 0; i < before->n; i++) {
        const char *name = before->entries[i].model->name;
        if (catalogue_find(now, name, strlen(name)) == NULL)
            log_info("model '%s' is no longer served; its streams go on with it", name);
    }
}

void models_replace(struct models *models, struct catalogue *fresh)
{
    pthread_mutex_lock(&models->mutex);
    catalogue_swap(&models->catalogue, fresh);
    pthread_mutex_unlock(&models->mutex);
    log_changes(fresh, &models->catalogue);
    catalogue_done(fresh);
}

int models_load(struct models *models, const struct config *config, struct users *users)
{
    struct catalogue first;
    *models = (struct models){.mutex = PTHREAD_MUTEX_INITIALIZER};
    if (catalogue_read(&first, config, NULL, users, NULL) != 0)
        return -1;
    models_replace(models, &first);
    return 0;
}

void models_free(struct models *models)
{
    catalogue_done(&models->catalogue);
}

struct model *models_find(struct models *models, const char *name, size_t n_name)
{
    pthread_mutex_lock(&models->mutex);
    struct model *model = model_use(catalogue_find(&models->catalogue, name, n_name));
    pthread_mutex_unlock(&models->mutex);
    return model;
}

size_t models_list(struct models *models, struct model *list[MODELS_MOST])
{
    pthread_mutex_lock(&models->mutex);
    size_t n = models->catalogue.n;
    for (size_t i = 0; i < n; i++)
        list[i] = model_use(models->catalogue.entries[i].model);
    pthread_mutex_unlock(&models->mutex);
    return n;
}

size_t models_count(struct models *models)
{
    pthread_mutex_lock(&models->mutex);
    size_t n = models->catalogue.n;
    pthread_mutex_unlock(&models->mutex);
    return n;
}
