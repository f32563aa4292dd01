/* SPDX-License-Identifier: MIT */
#include "daemon/models.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

#define ENDING      ".safetensors"
#define MOST_LABELS 2048 /* they are one array of a message, whose values are limited */

/* The file's name without folder and ending; false where that is no possible name of a model. */
static bool name_of(const char *path, char name[ATTNP_MAX_MODEL + 1])
{
    const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    size_t n = strlen(base), n_ending = strlen(ENDING);
    if (n > n_ending && strcmp(base + n - n_ending, ENDING) == 0)
        n -= n_ending;
    if (n == 0 || n > ATTNP_MAX_MODEL)
        return false;
    memcpy(name, base, n);
    name[n] = '\0';
    return true;
}

static bool describable(const struct plan_facts *facts, char *why, size_t n_why)
{
    if (facts->n_labels > MOST_LABELS) {
        snprintf(why, n_why, "it has %u labels; at most %d can be told to clients", facts->n_labels, MOST_LABELS);
        return false;
    }
    for (uint32_t i = 0; i < facts->n_labels; i++)
        if (strlen(facts->labels[i]) > 255) {
            snprintf(why, n_why, "label %u has %zu bytes; at most 255 can be told to clients", i,
                     strlen(facts->labels[i]));
            return false;
        }
    if (facts->frontend != NULL && strlen(facts->frontend) > ATTNP_MAX_STRING) {
        snprintf(why, n_why, "its frontend has %zu bytes; at most %d can be told to clients", strlen(facts->frontend),
                 ATTNP_MAX_STRING);
        return false;
    }
    return true;
}

static int append(struct models *models, const char *name, struct plan *plan)
{
    struct model *model = model_new(name, plan);
    if (model == NULL)
        return -1;
    models->list[models->n++] = model;
    return 0;
}

static struct model *find(const struct models *models, const char *name, size_t n_name)
{
    for (size_t i = 0; i < models->n; i++)
        if (strlen(models->list[i]->name) == n_name && memcmp(models->list[i]->name, name, n_name) == 0)
            return models->list[i];
    return NULL;
}

/* 0, or -1: the file is not served, and why is logged. */
static int load(struct models *models, const char *path)
{
    char name[ATTNP_MAX_MODEL + 1], why[320] = "no memory";
    struct plan *plan = NULL;
    if (!name_of(path, name)) {
        log_error("model %s is not served: its name has to be 1 to %d bytes", path, ATTNP_MAX_MODEL);
        return -1;
    }
    if (find(models, name, strlen(name)) != NULL) {
        log_error("model %s is not served: another one is called '%s' already; rename one of them", path, name);
        return -1;
    }
    if (models->n == MODELS_MOST) {
        log_error("model %s is not served: at most %d models are", path, MODELS_MOST);
        return -1;
    }
    if (plan_load(&plan, path, why, sizeof(why)) != 0 || !describable(plan_facts(plan), why, sizeof(why)) ||
        append(models, name, plan) != 0) {
        plan_free(plan);
        log_error("model %s is not served: %s", path, why);
        return -1;
    }
    log_info("model '%s' from %s: %u floats a frame, %u an output, window %u", name, path, plan_facts(plan)->input_dim,
             plan_output_dim(plan, ATTNP_OUTPUT_SCORES), plan_facts(plan)->window);
    return 0;
}

static int is_model(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name), n_ending = strlen(ENDING);
    return entry->d_name[0] != '.' && n > n_ending && strcmp(entry->d_name + n - n_ending, ENDING) == 0;
}

static int load_directory(struct models *models, const char *directory, bool is_default)
{
    struct dirent **entries;
    int n = scandir(directory, &entries, is_model, alphasort);
    if (n < 0 && is_default && errno == ENOENT)
        return 0;
    if (n < 0) {
        log_error("model directory %s cannot be read: %s; see directories in [models]", directory, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name) < (int)sizeof(path))
            load(models, path);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct model *const *)a)->name, (*(struct model *const *)b)->name);
}

int models_load(struct models *models, const struct config *config)
{
    char path[CONFIG_TEXT_BYTES];
    const char *rest = config_text(config, CONFIG_models_directories);
    bool is_default = strcmp(config->values[CONFIG_models_directories].origin, "default") == 0;
    *models = (struct models){.mutex = PTHREAD_MUTEX_INITIALIZER};
    while (config_next_item(&rest, path))
        if (load_directory(models, path, is_default) != 0)
            goto failed;
    rest = config_text(config, CONFIG_models_files);
    while (config_next_item(&rest, path))
        if (load(models, path) != 0)
            goto failed;
    qsort(models->list, models->n, sizeof(*models->list), by_name);
    return 0;
failed:
    models_free(models);
    return -1;
}

void models_free(struct models *models)
{
    for (size_t i = 0; i < models->n; i++)
        model_release(models->list[i]);
    models->n = 0;
}

struct model *models_find(struct models *models, const char *name, size_t n_name)
{
    pthread_mutex_lock(&models->mutex);
    struct model *model = model_use(find(models, name, n_name));
    pthread_mutex_unlock(&models->mutex);
    return model;
}

size_t models_list(struct models *models, struct model *list[MODELS_MOST])
{
    pthread_mutex_lock(&models->mutex);
    size_t n = models->n;
    for (size_t i = 0; i < n; i++)
        list[i] = model_use(models->list[i]);
    pthread_mutex_unlock(&models->mutex);
    return n;
}

size_t models_count(struct models *models)
{
    pthread_mutex_lock(&models->mutex);
    size_t n = models->n;
    pthread_mutex_unlock(&models->mutex);
    return n;
}
