/* SPDX-License-Identifier: MIT */
/* The models that are served, by name. Who finds one becomes a user of it, so that it can be replaced or removed while
 * streams compute with it. */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "daemon/config.h"
#include "daemon/model.h"

/* So many models' descriptions fit one message (protocol/limits.h: 4096 values). */
#define MODELS_MOST 100

struct models {
    pthread_mutex_t mutex;           /* of the rest */
    struct model *list[MODELS_MOST]; /* by name */
    size_t n;
};

/* Loads every *.safetensors of the configured directories, then the single files; of two with one name the first
 * counts. A file that is no valid model is logged and left out; a directory or single file that was asked for by name
 * and cannot be read is an error. 0, or -1 (logged). Main thread. */
int models_load(struct models *models, const struct config *config);
void models_free(struct models *models);

/* Any thread, each. The model of this name, which the caller then uses (model_release); NULL where there is none. */
struct model *models_find(struct models *models, const char *name, size_t n_name);

/* All of them, by name, which the caller then uses. Returns how many. */
size_t models_list(struct models *models, struct model *list[MODELS_MOST]);

/* How many there are. */
size_t models_count(struct models *models);
