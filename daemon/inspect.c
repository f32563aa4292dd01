/* SPDX-License-Identifier: MIT */
#include "daemon/inspect.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "daemon/models.h"
#include "daemon/reply.h"
#include "daemon/stream.h"

static void put_labels(struct attnp_writer *writer, const struct plan_facts *facts)
{
    attnp_write_key(writer, "labels");
    attnp_write_array(writer, facts->n_labels);
    for (uint32_t i = 0; i < facts->n_labels; i++)
        attnp_write_string(writer, facts->labels[i], strlen(facts->labels[i]));
}

static void put_model(struct attnp_writer *writer, const struct model *model)
{
    const struct plan_facts *facts = plan_facts(model->plan);
    uint32_t output_dim = plan_output_dim(model->plan, ATTNP_OUTPUT_SCORES);
    uint32_t credit = attnp_credit(4 * (uint64_t)facts->input_dim, 4 * (uint64_t)output_dim);
    char hash[17];
    snprintf(hash, sizeof(hash), "%016" PRIx64, facts->hash);
    attnp_write_map(writer, 14 + (facts->frontend != NULL) + (facts->events != NULL));
    attnp_put_string(writer, "name", model->name);
    attnp_put_uint(writer, "input_dim", facts->input_dim);
    attnp_put_uint(writer, "output_dim", output_dim);
    attnp_put_uint(writer, "model_dim", facts->model_dim);
    attnp_put_uint(writer, "heads", facts->heads);
    attnp_put_uint(writer, "window", facts->window);
    attnp_put_uint(writer, "layers", facts->layers);
    put_labels(writer, facts);
    if (facts->frontend != NULL)
        attnp_put_string(writer, "frontend", facts->frontend);
    if (facts->events != NULL)
        attnp_put_string(writer, "events", facts->events);
    attnp_put_uint(writer, "replay_frames", facts->replay_frames);
    attnp_put_uint(writer, "warming_frames", facts->warming_frames);
    attnp_put_uint(writer, "state_bytes", stream_block_bytes(model->plan, ATTNP_OUTPUT_SCORES, credit));
    attnp_put_double(writer, "cost_us", cost_us(model->cost));
    attnp_put_double(writer, "cost_us_batched", cost_us_batched(model->cost));
    attnp_put_string(writer, "hash", hash);
}

/* Labels of all models together could exceed a message, so `models` takes an optional name. */
int inspect_models(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                   struct attnp_error *error)
{
    struct models *models = connection->shard->shared->models;
    const msgpack_object *name = attnp_map_get(params, "model");
    struct model *list[MODELS_MOST];
    size_t n = 1;
    if (name != NULL && name->type != MSGPACK_OBJECT_STR)
        return attnp_fail(error, ATTNP_BAD_PARAMS, "model has to be a string: the name of a model");
    if (name == NULL)
        n = models_list(models, list);
    else if ((list[0] = models_find(models, name->via.str.ptr, name->via.str.size)) == NULL)
        return attnp_fail(error, ATTNP_UNKNOWN_MODEL, "no such model; without a name, `models` lists all %zu",
                          models_count(models));
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    attnp_write_map(writer, 1);
    attnp_write_key(writer, "models");
    attnp_write_array(writer, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        put_model(writer, list[i]);
        model_release(list[i]);
    }
    reply_send(connection->shard, asker);
    return 0;
}
