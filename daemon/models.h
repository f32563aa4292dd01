/* SPDX-License-Identifier: MIT */
/* The models that are served: loaded once at the start, immutable afterwards, so that every shard reads them without a
 * lock. */
#pragma once

#include <stddef.h>

#include "daemon/config.h"
#include "daemon/plan.h"

/* So many models' descriptions fit one message (protocol/limits.h: 4096 values). */
#define MODELS_MOST 100

struct model {
    char name[ATTNP_MAX_MODEL + 1]; /* file name without .safetensors */
    struct plan *plan;
};

struct models {
    struct model *list; /* by name */
    size_t n;
};

/* Loads every *.safetensors of the configured directories, then the single files; of two with one name the first
 * counts. A file that is no valid model is logged and left out; a directory or single file that was asked for by name
 * and cannot be read is an error. 0, or -1 (logged). */
int models_load(struct models *models, const struct config *config);
void models_free(struct models *models);

/* The model of this name; NULL where there is none. Any thread. */
const struct model *models_find(const struct models *models, const char *name, size_t n_name);
