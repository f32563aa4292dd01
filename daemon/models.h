/* SPDX-License-Identifier: MIT */
/* The models that are served, by name. Who finds one becomes a user of it, so that it can be replaced or removed while
 * streams compute with it. */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "daemon/catalogue.h"

struct models {
    pthread_mutex_t mutex;
    struct catalogue catalogue; /* the main thread alone changes it, with the mutex; others read it with the mutex */
};

/* The first set: see catalogue_read. 0, or -1 (logged). Main thread. */
int models_load(struct models *models, const struct config *config, struct users *users);
void models_free(struct models *models);

/* Serves another set from here on, which is empty afterwards; what is different is logged. Streams go on with the
 * models that they have. Main thread. */
void models_replace(struct models *models, struct catalogue *fresh);

/* Any thread, each. The model of this name, which the caller then uses (model_release); NULL where there is none. */
struct model *models_find(struct models *models, const char *name, size_t n_name);

/* All of them, by name, which the caller then uses. Returns how many. */
size_t models_list(struct models *models, struct model *list[MODELS_MOST]);

/* How many there are. */
size_t models_count(struct models *models);
