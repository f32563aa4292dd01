/* SPDX-License-Identifier: MIT */
#include "daemon/look.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/reply.h"

/* Streams in one answer to `streams`: with 2 * 7 + 1 values each they stay below protocol/limits.h's values of a
 * message. */
#define PAGE_STREAMS 1000

static void put_optional(struct attnp_writer *writer, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        attnp_put_string(writer, key, text);
    else
        attnp_put_nil(writer, key);
}

static void put_model(struct attnp_writer *writer, const struct model *model)
{
    const struct plan_facts *facts = plan_facts(model->plan);
    char hash[17];
    snprintf(hash, sizeof(hash), "%016" PRIx64, facts->hash);
    attnp_write_map(writer, 11);
    attnp_put_string(writer, "name", model->name);
    attnp_put_uint(writer, "input_dim", facts->input_dim);
    attnp_put_uint(writer, "output_dim", plan_output_dim(model->plan, ATTNP_OUTPUT_SCORES));
    attnp_put_uint(writer, "embedding_dim", plan_output_dim(model->plan, ATTNP_OUTPUT_EMBEDDING));
    attnp_put_uint(writer, "layers", facts->layers);
    attnp_put_uint(writer, "window", facts->window);
    attnp_put_uint(writer, "replay_frames", facts->replay_frames);
    attnp_put_uint(writer, "warming_frames", facts->warming_frames);
    attnp_put_string(writer, "hash", hash);
    put_optional(writer, "frontend", facts->frontend);
    attnp_write_key(writer, "labels");
    attnp_write_array(writer, facts->n_labels);
    for (uint32_t i = 0; i < facts->n_labels; i++)
        attnp_write_string(writer, facts->labels[i], strlen(facts->labels[i]));
}

/* Labels of all models together could exceed a message, so `models` takes an optional name. */
int look_models(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                struct attnp_error *error)
{
    const struct models *models = connection->shard->shared->models;
    const msgpack_object *name = attnp_map_get(params, "model");
    const struct model *only = NULL;
    if (name != NULL && name->type != MSGPACK_OBJECT_STR)
        return attnp_fail(error, ATTNP_BAD_PARAMS, "model has to be a string: the name of a model");
    if (name != NULL && (only = models_find(models, name->via.str.ptr, name->via.str.size)) == NULL)
        return attnp_fail(error, ATTNP_UNKNOWN_MODEL, "no such model; without a name, `models` lists all %zu",
                          models->n);
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    attnp_write_map(writer, 1);
    attnp_write_key(writer, "models");
    attnp_write_array(writer, only != NULL ? 1 : (uint32_t)models->n);
    for (size_t i = 0; i < models->n; i++)
        if (only == NULL || only == &models->list[i])
            put_model(writer, &models->list[i]);
    reply_send(connection->shard, asker);
    return 0;
}

static void put_stream(struct attnp_writer *writer, const struct card_view *view)
{
    attnp_write_map(writer, 7);
    attnp_put_uint(writer, "stream", view->number);
    put_optional(writer, "name", view->name);
    put_optional(writer, "model", view->model);
    attnp_put_uint(writer, "uid", view->uid);
    attnp_put_uint(writer, "frames", view->frames);
    attnp_put_uint(writer, "queue", view->next_frame > view->settled ? view->next_frame - view->settled : 0);
    attnp_put_uint(writer, "lag_us", view->lag_us);
}

int look_streams(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                 struct attnp_error *error)
{
    const msgpack_object *after = attnp_map_get(params, "after");
    bool more;
    if (after != NULL && after->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return attnp_fail(error, ATTNP_BAD_PARAMS,
                          "after has to be a stream's number: the last one of the page before");
    struct card_view *views = malloc(PAGE_STREAMS * sizeof(*views));
    if (views == NULL)
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for the list; try again later");
    size_t n = registry_list(connection->shard->shared->registry, after != NULL ? after->via.u64 : 0, connection->uid,
                             connection_is_operator(connection), views, PAGE_STREAMS, &more);
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    attnp_write_map(writer, 2);
    attnp_put_bool(writer, "more", more);
    attnp_write_key(writer, "streams");
    attnp_write_array(writer, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        put_stream(writer, &views[i]);
    free(views);
    reply_send(connection->shard, asker);
    return 0;
}

int look_info(struct connection *connection, const struct asker *asker, const msgpack_object *params,
              struct attnp_error *error)
{
    struct attnp_target target;
    struct card_view view;
    if (attnp_target_read(&target, params, error) != 0 ||
        registry_look(connection->shard->shared->registry, &target, connection->uid, connection_is_operator(connection),
                      &view, error) != 0)
        return -1;
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    attnp_write_map(writer, 20);
    attnp_put_uint(writer, "stream", view.number);
    put_optional(writer, "name", view.name);
    put_optional(writer, "model", view.model);
    attnp_put_uint(writer, "uid", view.uid);
    attnp_put_uint(writer, "shard", view.shard);
    attnp_put_uint(writer, "connection", view.connection);
    attnp_put_uint(writer, "input_dim", view.input_dim);
    attnp_put_uint(writer, "output_dim", view.output_dim);
    attnp_put_uint(writer, "credit", view.credit);
    attnp_put_uint(writer, "next_frame", view.next_frame);
    attnp_put_uint(writer, "position", view.position);
    attnp_put_uint(writer, "queue", view.next_frame > view.settled ? view.next_frame - view.settled : 0);
    attnp_put_uint(writer, "lag_us", view.lag_us);
    attnp_put_uint(writer, "frames", view.frames);
    attnp_put_uint(writer, "outputs", view.outputs);
    attnp_put_uint(writer, "dropped", 0);
    attnp_put_uint(writer, "refused", view.refused);
    attnp_put_uint(writer, "state_bytes", view.bytes);
    attnp_put_uint(writer, "cpu_us", view.computing_ns / 1000);
    attnp_put_uint(writer, "age_ms", (shard_now_us() - view.opened_us) / 1000);
    reply_send(connection->shard, asker);
    return 0;
}

/* The lag below which a share of all outputs stayed: the upper end of its bucket, at most a quarter too large. */
static uint64_t lag_quantile(const uint64_t lags[COUNTERS_LAG_BUCKETS], double share)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < COUNTERS_LAG_BUCKETS; i++)
        total += lags[i];
    for (size_t i = 0; i < COUNTERS_LAG_BUCKETS && total > 0; i++) {
        seen += lags[i];
        if ((double)seen >= share * (double)total)
            return counters_lag_floor(i + 1);
    }
    return 0;
}

static void put_lags(struct attnp_writer *writer, const struct shared *shared)
{
    uint64_t lags[COUNTERS_LAG_BUCKETS] = {0};
    for (unsigned s = 0; s < shared->n_shards; s++)
        for (size_t i = 0; i < COUNTERS_LAG_BUCKETS; i++)
            lags[i] += counters_get(&shared->shards[s].counters.lags[i]);
    attnp_put_uint(writer, "lag_us_p50", lag_quantile(lags, 0.5));
    attnp_put_uint(writer, "lag_us_p99", lag_quantile(lags, 0.99));
    attnp_put_uint(writer, "lag_us_p999", lag_quantile(lags, 0.999));
}

static void put_shards(struct attnp_writer *writer, const struct shared *shared)
{
    attnp_write_key(writer, "shards");
    attnp_write_array(writer, shared->n_shards);
    for (unsigned s = 0; s < shared->n_shards; s++) {
        const struct counters *counters = &shared->shards[s].counters;
        attnp_write_map(writer, 4);
        attnp_put_uint(writer, "connections", counters_get(&counters->connections));
        attnp_put_uint(writer, "streams", counters_get(&counters->streams));
        attnp_put_uint(writer, "frames", counters_get(&counters->frames));
        attnp_put_uint(writer, "computing_us", counters_get(&counters->computing_ns) / 1000);
    }
}

int look_stats(struct connection *connection, const struct asker *asker, const msgpack_object *params,
               struct attnp_error *error)
{
    const struct shared *shared = connection->shard->shared;
    uint64_t n_streams, bytes, most_streams, most_bytes;
    (void)params, (void)error;
    registry_totals(shared->registry, &n_streams, &bytes, &most_streams, &most_bytes);
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
#define X(name) +1
    attnp_write_map(writer, 8 COUNTERS(X));
#undef X
#define X(name)                                                                                                        \
    {                                                                                                                  \
        uint64_t sum = 0;                                                                                              \
        for (unsigned s = 0; s < shared->n_shards; s++)                                                                \
            sum += counters_get(&shared->shards[s].counters.name);                                                     \
        attnp_put_uint(writer, #name, sum);                                                                            \
    }
    COUNTERS(X)
#undef X
    attnp_put_uint(writer, "uptime_ms", (shard_now_us() - shared->started_us) / 1000);
    attnp_put_uint(writer, "state_bytes", bytes);
    attnp_put_uint(writer, "most_state_bytes", most_bytes);
    attnp_put_uint(writer, "most_streams", most_streams);
    put_lags(writer, shared);
    put_shards(writer, shared);
    reply_send(connection->shard, asker);
    return 0;
}
