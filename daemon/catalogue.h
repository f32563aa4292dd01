/* SPDX-License-Identifier: MIT */
/* A set of models as their files are at one moment. Made by one thread, and not changed from then on. It knows nothing
 * of who is served with them. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "daemon/config.h"
#include "daemon/model.h"

/* So many models' descriptions fit one message (protocol/limits.h: 4096 values). */
#define MODELS_MOST 100

struct users;

struct catalogue {
    struct catalogue_entry {
        struct model *model; /* used */
        char *path;
        dev_t device; /* this and the rest: the file when it was read; where all are the same, so is the content */
        ino_t inode;
        off_t n_bytes;
        struct timespec modified;
    } entries[MODELS_MOST]; /* by name */
    size_t n;
};

/* Reads every *.safetensors of the configured directories, then the single files; of two with one name the first
 * counts. A file that is as it was in `before` (NULL: there is none) keeps its model. One of a directory that is no
 * valid model, or for which there is no memory or no room in what `users` allows, is logged and left out, or keeps the
 * model that `before` has of it. A directory or single file that was asked for by name and cannot be read is an error,
 * as is *stop (NULL: never) becoming true. 0, or -1 (logged), and *catalogue is empty. Any thread, while nobody changes
 * `config` and `before`. */
int catalogue_read(struct catalogue *catalogue, const struct config *config, const struct catalogue *before,
                   struct users *users, const atomic_bool *stop);

/* The same, for what it logs: each model, and what is wrong. Keeps none, and no two of them in memory. */
int catalogue_check(const struct config *config);

/* NULL: there is none of this name. */
struct model *catalogue_find(const struct catalogue *catalogue, const char *name, size_t n_name);

/* Each gets what the other had. */
void catalogue_swap(struct catalogue *a, struct catalogue *b);

void catalogue_done(struct catalogue *catalogue);
