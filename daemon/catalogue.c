/* SPDX-License-Identifier: MIT */
#include "daemon/catalogue.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/users.h"
#include "protocol/utf8.h"

#define ENDING      ".safetensors"
#define MOST_LABELS 2048 /* they are one array of a message, whose values are limited */

struct reading {
    struct catalogue *catalogue;
    const struct catalogue *before;
    struct users *users;
    const atomic_bool *stop;
    bool is_check;
};

/* A file that is not served, and why. */
struct refusal {
    bool is_lasting; /* for what the file is, and not for want of memory */
    char why[320];
};

/* The file's name without folder and ending; false where that is no possible name of a model: clients take no text that
 * they could not print, and would not understand a hello with such a name in it. */
static bool name_of(const char *path, char name[ATTNP_MAX_MODEL + 1])
{
    const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    size_t n = strlen(base), n_ending = strlen(ENDING);
    if (n > n_ending && strcmp(base + n - n_ending, ENDING) == 0)
        n -= n_ending;
    if (n == 0 || n > ATTNP_MAX_MODEL || !attnp_utf8_clean(base, n))
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
    if (facts->events != NULL && strlen(facts->events) > ATTNP_MAX_STRING) {
        snprintf(why, n_why, "its events have %zu bytes; at most %d can be told to clients", strlen(facts->events),
                 ATTNP_MAX_STRING);
        return false;
    }
    return true;
}

struct model *catalogue_find(const struct catalogue *catalogue, const char *name, size_t n_name)
{
    for (size_t i = 0; i < catalogue->n; i++) {
        struct model *model = catalogue->entries[i].model;
        if (strlen(model->name) == n_name && memcmp(model->name, name, n_name) == 0)
            return model;
    }
    return NULL;
}

/* The entry becomes a user of the model. 0, or -1: no memory. */
static int append(struct catalogue *catalogue, struct model *model, const char *path, const struct stat *status)
{
    size_t n_path = strlen(path) + 1;
    char *copy = malloc(n_path);
    if (copy == NULL)
        return -1;
    memcpy(copy, path, n_path);
    catalogue->entries[catalogue->n++] = (struct catalogue_entry){.model = model_use(model),
                                                                  .path = copy,
                                                                  .device = status->st_dev,
                                                                  .inode = status->st_ino,
                                                                  .n_bytes = status->st_size,
                                                                  .modified = status->st_mtim};
    return 0;
}

static const struct catalogue_entry *entry_before(const struct reading *reading, const char *path)
{
    for (size_t i = 0; reading->before != NULL && i < reading->before->n; i++)
        if (strcmp(reading->before->entries[i].path, path) == 0)
            return &reading->before->entries[i];
    return NULL;
}

static bool is_unchanged(const struct catalogue_entry *entry, const struct stat *status)
{
    return entry->device == status->st_dev && entry->inode == status->st_ino && entry->n_bytes == status->st_size &&
           entry->modified.tv_sec == status->st_mtim.tv_sec && entry->modified.tv_nsec == status->st_mtim.tv_nsec;
}

/* A file that changed and still is what it was leaves its streams together with new ones. */
static bool same_content(const struct catalogue_entry *entry, const struct plan *plan)
{
    return entry != NULL && plan_facts(entry->model->plan)->hash == plan_facts(plan)->hash;
}

/* Reads the file. NULL and why: it cannot be served. Else the caller uses the model, for which nothing is charged yet.
 */
static struct model *read_model(const struct reading *reading, const char *path, const char *name,
                                const struct catalogue_entry *old, struct refusal *refusal)
{
    struct plan *plan = NULL;
    struct model *model = NULL;
    int status = plan_load(&plan, path, refusal->why, sizeof(refusal->why));
    refusal->is_lasting = status != PLAN_NO_MEMORY;
    if (status != 0)
        return NULL;
    if (!describable(plan_facts(plan), refusal->why, sizeof(refusal->why)))
        goto free_plan;
    if (!reading->is_check && same_content(old, plan)) {
        model = model_use(old->model);
        goto free_plan;
    }
    if (reading->is_check) {
        log_info("model '%s' from %s is valid: %u floats a frame, window %u", name, path, plan_facts(plan)->input_dim,
                 plan_facts(plan)->window);
        plan_free(plan);
        plan = NULL; /* only the name counts */
    }
    model = model_new(name, plan);
    if (model != NULL)
        return model;
    refusal->is_lasting = false;
    snprintf(refusal->why, sizeof(refusal->why), "no memory");
free_plan:
    plan_free(plan);
    return model;
}

/* The same, in the memory that models and states may have: a model counts with the size of its file, of which nearly
 * all is weights, before it is read. */
static struct model *load(const struct reading *reading, const char *path, const char *name,
                          const struct catalogue_entry *old, uint64_t n_bytes, struct refusal *refusal)
{
    refusal->is_lasting = false;
    if (users_hold_model(reading->users, n_bytes, refusal->why, sizeof(refusal->why)) != 0)
        return NULL;
    struct model *model = read_model(reading, path, name, old, refusal);
    if (model != NULL && (old == NULL || model != old->model))
        model_charge(model, reading->users, n_bytes);
    else
        users_release_model(reading->users, n_bytes);
    return model;
}

/* Whether there is room for a model of this name. */
static bool has_room(const struct reading *reading, const char *path, char name[ATTNP_MAX_MODEL + 1])
{
    if (!name_of(path, name)) {
        log_error("model %s is not served: its name has to be 1 to %d bytes of UTF-8 without control characters; "
                  "rename the file",
                  path, ATTNP_MAX_MODEL);
        return false;
    }
    if (catalogue_find(reading->catalogue, name, strlen(name)) != NULL) {
        log_error("model %s is not served: another one is called '%s' already; rename one of them", path, name);
        return false;
    }
    if (reading->catalogue->n == MODELS_MOST) {
        log_error("model %s is not served: at most %d models are", path, MODELS_MOST);
        return false;
    }
    return true;
}

/* What take returns where the whole reading cannot go on. */
#define CANNOT_GO_ON (-2)

/* 0, or -1: the file is not served, and why is logged. `may_stay`: a file that is broken now keeps its older model. */
static int take(const struct reading *reading, const char *path, bool may_stay)
{
    char name[ATTNP_MAX_MODEL + 1];
    struct refusal refusal = {.why = ""};
    const struct catalogue_entry *old = entry_before(reading, path);
    struct stat status;
    struct model *model = NULL;
    if (!has_room(reading, path, name))
        return -1;
    if (stat(path, &status) != 0) { /* before it is read, so that a change in between is seen the next time */
        log_error("model %s is not served: %s", path, strerror(errno));
        return -1;
    }
    if (old != NULL && is_unchanged(old, &status))
        model = model_use(old->model);
    else
        model = load(reading, path, name, old, (uint64_t)status.st_size, &refusal);
    if (model == NULL && old != NULL && may_stay) {
        log_error("model %s %s, and the one that was read before stays: %s", path,
                  refusal.is_lasting ? "is not valid" : "cannot be taken over now", refusal.why);
        status = (struct stat){.st_dev = old->device, .st_ino = old->inode, .st_size = old->n_bytes};
        status.st_mtim = old->modified;
        model = model_use(old->model);
    }
    if (model == NULL) {
        log_error("model %s is not served: %s", path, refusal.why);
        return -1;
    }
    int error = append(reading->catalogue, model, path, &status);
    model_release(model);
    if (error == 0)
        return 0;
    log_error("no memory to note the model %s", path);
    return CANNOT_GO_ON;
}

static bool is_stopped(const struct reading *reading)
{
    return reading->stop != NULL && atomic_load(reading->stop);
}

static int is_model(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name), n_ending = strlen(ENDING);
    return entry->d_name[0] != '.' && n > n_ending && strcmp(entry->d_name + n - n_ending, ENDING) == 0;
}

static int read_directory(const struct reading *reading, const char *directory, bool is_default)
{
    struct dirent **entries;
    int n = scandir(directory, &entries, is_model, alphasort);
    if (n < 0 && is_default && errno == ENOENT)
        return 0;
    if (n < 0) {
        log_error("model directory %s cannot be read: %s; see directories in [models]", directory, strerror(errno));
        return -1;
    }
    bool goes_on = true;
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        goes_on = goes_on && !is_stopped(reading);
        if (snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name) >= (int)sizeof(path))
            log_error("model %s in %s is not served: the path is longer than %zu bytes", entries[i]->d_name, directory,
                      sizeof(path) - 1);
        else if (goes_on)
            goes_on = take(reading, path, true) != CANNOT_GO_ON;
        free(entries[i]);
    }
    free(entries);
    return goes_on && !is_stopped(reading) ? 0 : -1;
}

static int by_name(const void *a, const void *b)
{
    const struct catalogue_entry *one = a, *other = b;
    return strcmp(one->model->name, other->model->name);
}

static int read_all(const struct reading *reading, const struct config *config)
{
    struct catalogue *catalogue = reading->catalogue;
    char path[CONFIG_TEXT_BYTES];
    const char *rest = config_text(config, CONFIG_models_directories);
    bool is_default = strcmp(rest, MODEL_DIRECTORY) == 0; /* also where --check printed it to a file */
    catalogue->n = 0;
    while (config_next_item(&rest, path))
        if (read_directory(reading, path, is_default) != 0)
            goto failed;
    rest = config_text(config, CONFIG_models_files);
    while (config_next_item(&rest, path))
        if (is_stopped(reading) || take(reading, path, false) != 0)
            goto failed;
    qsort(catalogue->entries, catalogue->n, sizeof(*catalogue->entries), by_name);
    return 0;
failed:
    catalogue_done(catalogue);
    return -1;
}

int catalogue_read(struct catalogue *catalogue, const struct config *config, const struct catalogue *before,
                   struct users *users, const atomic_bool *stop)
{
    const struct reading reading = {.catalogue = catalogue, .before = before, .users = users, .stop = stop};
    return read_all(&reading, config);
}

int catalogue_check(const struct config *config)
{
    struct catalogue catalogue;
    struct users *users = users_new(config, geteuid(), memory_bytes());
    const struct reading reading = {.catalogue = &catalogue, .users = users, .is_check = true};
    if (users == NULL) {
        log_error("no memory to check the models");
        return -1;
    }
    int status = read_all(&reading, config);
    catalogue_done(&catalogue);
    users_free(users);
    return status;
}

void catalogue_swap(struct catalogue *a, struct catalogue *b)
{
    struct catalogue other = *a;
    *a = *b;
    *b = other;
}

void catalogue_done(struct catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->n; i++) {
        model_release(catalogue->entries[i].model);
        free(catalogue->entries[i].path);
    }
    catalogue->n = 0;
}
