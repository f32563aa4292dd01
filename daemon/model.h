/* SPDX-License-Identifier: MIT */
/* One model that streams compute with: a file's, or the raw attention of one stream. It lives as long as anybody uses
 * it: the set that serves it, and every stream that was opened with it, also after it was replaced or removed. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/cost.h"
#include "daemon/plan.h"

struct users;

struct model {
    char name[ATTNP_MAX_MODEL + 1]; /* file name without .safetensors; "": a raw attention */
    struct plan *plan;              /* its own */
    struct cost *cost;              /* used; raw attentions of one shape share one. Never NULL */
    struct users *account;          /* that holds n_bytes for it; NULL: none does */
    uint64_t n_bytes;
    atomic_uint n_users;
};

/* A model with one user, the caller, which owns the plan from here on. NULL: no memory (the plan stays the caller's).
 * Any thread. */
struct model *model_new(const char *name, struct plan *plan);

/* These bytes, which users_hold_model has counted, are the model's: they are released with it. Before others use it. */
void model_charge(struct model *model, struct users *account, uint64_t n_bytes);

/* One user more, or one less; the last one's release frees it. NULL is allowed. Any thread. */
struct model *model_use(struct model *model);
void model_release(struct model *model);

/* Another cost than the one that the model was made with; it is used by the model from here on, and no longer by the
 * caller. Before others use the model. */
void model_set_cost(struct model *model, struct cost *cost);

/* The longest that a frame takes when it is computed alone: as measured, or else a guess. */
double model_worst_ns(const struct model *model);

/* A raw attention is no model of a file: nobody else computes with it. */
static inline bool model_is_attention(const struct model *model)
{
    return model->name[0] == '\0';
}
