/* SPDX-License-Identifier: MIT */
/* What frames cost, by model and by the shape of raw attentions: measured when first met, kept in a file between runs.
 * A model's key is its file's hash, an attention's the hash of what decides its work; both with the kernels' variant
 * and the library's version, so that what was measured elsewhere is never taken for this machine's. */
#pragma once

#include <pthread.h>

#include "daemon/model.h"
#include "daemon/models.h"

/* Records; of models and shapes that nobody uses the longest unused go first. */
#define COSTS_MOST 512

/* inih's sections are no longer; the zero included. */
#define COSTS_KEY_BYTES 50

/* A raw attention is measured when it is opened, away from its shard; a model before it is served. */
#define COSTS_ATTENTION_NS 10000000
#define COSTS_MODEL_NS     50000000

/* What a frame is taken to cost besides computing before anything was measured. */
#define COSTS_OVERHEAD_NS 6000

struct record {
    char key[COSTS_KEY_BYTES];
    struct cost *cost; /* used */
    double saved[COST_SIZES];
    uint64_t met;    /* rising; when it was last asked for */
    bool is_hearsay; /* it is from the file, and nothing has looked at it in this run */
};

struct costs {
    pthread_mutex_t mutex; /* of all but the path */
    char *path;            /* of the file; NULL: nothing is kept */
    struct record records[COSTS_MOST];
    size_t n;
    uint64_t n_met;
    double overhead_ns; /* a frame */
};

/* Nothing is known; what becomes known is kept in this directory (NULL: it is not). NULL: no memory. Main thread. */
struct costs *costs_new(const char *directory);
void costs_free(struct costs *costs); /* NULL is allowed */

/* Reads what an earlier run left. A file that is damaged or no file of ours is told in a warning, ignored and later
 * replaced. Main thread, once, before costs are learned. */
void costs_load(struct costs *costs);

/* From the file, a frame that is said to take so long is measured once before it is believed: it would keep streams
 * from being admitted, and what is never computed is never put right. */
#define COSTS_DOUBTFUL_NS 100000000

/* The model's cost becomes the one that is known for it, and is measured first, in at most limit_ns, where none is, or
 * where one from the file is doubtful and proves wrong, which is told in a warning. 1: it was measured, 0: it was
 * known, -1: no memory, and it is known by what running shows. Before the model is used by others. Any thread. */
int costs_learn(struct costs *costs, struct model *model, uint64_t limit_ns);

/* The same for all models at the start, in at most a second; logged. */
void costs_learn_models(struct costs *costs, struct models *models);

/* What a frame costs besides computing, as of the last run. */
double costs_overhead_ns(const struct costs *costs);

/* Writes the file, by rename. `always`: not only where something changed by more than a tenth. `overhead_ns`: as it was
 * measured by now. Main thread. */
void costs_save(struct costs *costs, double overhead_ns, bool always);

/* For costs_file.c. The record of this key, made where there is none; NULL: no memory, or all are in use. The mutex is
 * held. And: nothing is known any more. */
struct record *costs_record(struct costs *costs, const char *key);
void costs_forget_all(struct costs *costs);
