/* SPDX-License-Identifier: MIT */
#include "daemon/costs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "daemon/log.h"
#include "daemon/measure.h"

/* All models together are measured in so much. */
#define START_NS 1000000000

#define FILE_NAME "costs"

/* A cost that is doubtful and more than so many times what was measured is wrong. */
#define PROOF 8

void costs_forget_all(struct costs *costs)
{
    for (size_t i = 0; i < costs->n; i++)
        cost_release(costs->records[i].cost);
    costs->n = 0;
    costs->overhead_ns = COSTS_OVERHEAD_NS;
}

struct costs *costs_new(const char *directory)
{
    struct costs *costs = calloc(1, sizeof(*costs));
    if (costs == NULL)
        return NULL;
    pthread_mutex_init(&costs->mutex, NULL);
    costs->overhead_ns = COSTS_OVERHEAD_NS;
    if (directory == NULL) {
        log_debug("measured costs are not kept: there is no state directory (state_directory in [daemon])");
        return costs;
    }
    size_t n_path = strlen(directory) + sizeof("/" FILE_NAME);
    costs->path = malloc(n_path);
    if (costs->path == NULL) {
        costs_free(costs);
        return NULL;
    }
    snprintf(costs->path, n_path, "%s/%s", directory, FILE_NAME);
    return costs;
}

void costs_free(struct costs *costs)
{
    if (costs == NULL)
        return;
    costs_forget_all(costs);
    pthread_mutex_destroy(&costs->mutex);
    free(costs->path);
    free(costs);
}

/* A place for a record: behind the others, or where the longest unasked of those is that nobody uses. NULL: none. */
static struct record *place(struct costs *costs)
{
    struct record *oldest = NULL;
    if (costs->n < COSTS_MOST)
        return &costs->records[costs->n++];
    for (size_t i = 0; i < costs->n; i++) {
        struct record *record = &costs->records[i];
        if (atomic_load(&record->cost->n_users) == 1 && (oldest == NULL || record->met < oldest->met))
            oldest = record;
    }
    if (oldest != NULL)
        cost_release(oldest->cost);
    return oldest;
}

struct record *costs_record(struct costs *costs, const char *key)
{
    for (size_t i = 0; i < costs->n; i++)
        if (strcmp(costs->records[i].key, key) == 0) {
            costs->records[i].met = ++costs->n_met;
            return &costs->records[i];
        }
    struct cost *cost = cost_new();
    struct record *record = cost != NULL ? place(costs) : NULL;
    if (record == NULL) {
        cost_release(cost);
        return NULL;
    }
    *record = (struct record){.cost = cost, .met = ++costs->n_met};
    snprintf(record->key, sizeof(record->key), "%s", key);
    return record;
}

/* The cost of this key, which the caller then uses; NULL: none can be kept. */
static struct cost *find(struct costs *costs, const char *key, bool *is_doubtful)
{
    pthread_mutex_lock(&costs->mutex);
    struct record *record = costs_record(costs, key);
    struct cost *cost = record != NULL ? cost_use(record->cost) : NULL;
    *is_doubtful = record != NULL && record->is_hearsay && cost_frame_ns(cost, 1) >= COSTS_DOUBTFUL_NS;
    if (record != NULL)
        record->is_hearsay = false;
    pthread_mutex_unlock(&costs->mutex);
    return cost;
}

/* What a doubtful cost proves to be. False: nothing else than it says, or no memory to see. */
static bool corrected(struct model *model, size_t most_together, uint64_t limit_ns)
{
    struct cost *cost = cost_new();
    if (cost == NULL || measure_plan(cost, model->plan, most_together, limit_ns) != 0 ||
        cost_frame_ns(cost, 1) * PROOF > cost_frame_ns(model->cost, 1)) {
        cost_release(cost);
        return false;
    }
    log_warning("a frame of %s%s%s is said to cost %.0f us, and costs %.1f us: measured anew",
                model_is_attention(model) ? "an attention" : "'", model->name, model_is_attention(model) ? "" : "'",
                cost_us(model->cost), cost_us(cost));
    for (size_t i = 0; i < COST_SIZES; i++)
        cost_set(model->cost, i, atomic_load_explicit(&cost->ns[i], memory_order_relaxed));
    cost_set_worst(model->cost, cost_worst_ns(cost) / cost_frame_ns(cost, 1));
    cost_release(cost);
    return true;
}

int costs_learn(struct costs *costs, struct model *model, uint64_t limit_ns)
{
    const struct plan_facts *facts = plan_facts(model->plan);
    char key[COSTS_KEY_BYTES];
    bool is_attention = model_is_attention(model);
    snprintf(key, sizeof(key), "%s %016" PRIx64 " %s %s", is_attention ? "attention" : "model", facts->work_hash,
             facts->variant, plan_library_version());
    size_t most_together = is_attention ? 1 : PLAN_MOST_AT_ONCE;
    bool is_doubtful;
    struct cost *cost = find(costs, key, &is_doubtful);
    if (cost != NULL)
        model_set_cost(model, cost);
    if (is_doubtful)
        return corrected(model, most_together, limit_ns);
    if (cost_frame_ns(model->cost, 1) > 0)
        return 0;
    return measure_plan(model->cost, model->plan, most_together, limit_ns) == 0 ? 1 : -1;
}

void costs_learn_models(struct costs *costs, struct models *models)
{
    struct model *list[MODELS_MOST];
    size_t n = models_list(models, list), n_measured = 0, n_known = 0;
    const char *source = costs->path != NULL ? costs->path : "models that are the same";
    uint64_t begun_ns = uv_hrtime(), limit_ns = n > 0 ? START_NS / n : START_NS;
    if (limit_ns > COSTS_MODEL_NS)
        limit_ns = COSTS_MODEL_NS;
    for (size_t i = 0; i < n; i++) {
        int learned = costs_learn(costs, list[i], limit_ns);
        n_measured += learned == 1;
        n_known += learned == 0;
        if (learned < 0)
            log_warning("no memory to measure what a frame of '%s' costs; running will show it", list[i]->name);
        log_debug("a frame of '%s' costs %.1f us alone, %.1f us among %zu", list[i]->name, cost_us(list[i]->cost),
                  cost_us_batched(list[i]->cost), cost_best(list[i]->cost, COST_MOST_TOGETHER));
        model_release(list[i]);
    }
    if (n_measured > 0)
        log_info("costs of %zu models measured in %ju ms%s%s", n_measured,
                 (uintmax_t)((uv_hrtime() - begun_ns) / 1000000), n_known > 0 ? "; those of the others are from " : "",
                 n_known > 0 ? source : "");
    else if (n_known > 0)
        log_info("costs of %zu models are from %s; nothing to measure", n_known, source);
}

double costs_overhead_ns(const struct costs *costs)
{
    return costs->overhead_ns;
}
