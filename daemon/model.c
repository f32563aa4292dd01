/* SPDX-License-Identifier: MIT */
#include "daemon/model.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/users.h"

struct model *model_new(const char *name, struct plan *plan)
{
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL || (model->cost = cost_new()) == NULL) {
        free(model);
        return NULL;
    }
    strcpy(model->name, name); /* at most ATTNP_MAX_MODEL, by its callers */
    model->plan = plan;
    atomic_init(&model->n_users, 1);
    return model;
}

void model_charge(struct model *model, struct users *account, uint64_t n_bytes)
{
    model->account = account;
    model->n_bytes = n_bytes;
}

struct model *model_use(struct model *model)
{
    if (model != NULL)
        atomic_fetch_add(&model->n_users, 1);
    return model;
}

void model_release(struct model *model)
{
    if (model == NULL || atomic_fetch_sub(&model->n_users, 1) != 1)
        return;
    plan_free(model->plan);
    cost_release(model->cost);
    if (model->account != NULL)
        users_release_model(model->account, model->n_bytes);
    free(model);
}

void model_set_cost(struct model *model, struct cost *cost)
{
    cost_release(model->cost);
    model->cost = cost;
}

double model_worst_ns(const struct model *model)
{
    return cost_is_measured(model->cost) ? cost_worst_ns(model->cost) : (double)plan_facts(model->plan)->guess_ns;
}
