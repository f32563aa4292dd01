/* SPDX-License-Identifier: MIT */
#include "daemon/look.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/reply.h"

/* Streams in one answer to `streams`: with 2 * 7 + 1 values each they stay below protocol/limits.h's values of a
 * message. */
#define PAGE_STREAMS 1000

/* The longest map of one stream: its keys, 5 numbers, and two names with their lengths; and what is around the list. */
#define STREAM_BYTES (64 + 5 * 9 + ATTNP_MAX_NAME + ATTNP_MAX_MODEL + 2 * 3)
#define AROUND_BYTES 64

static uint64_t seconds_since(uint64_t then_us)
{
    return (shard_now_us() - then_us) / 1000000;
}

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
    attnp_write_map(writer, facts->frontend != NULL ? 15 : 14);
    attnp_put_string(writer, "name", model->name);
    attnp_put_double(writer, "cost_us", cost_us(model->cost));
    attnp_put_double(writer, "cost_us_batched", cost_us_batched(model->cost));
    attnp_put_uint(writer, "input_dim", facts->input_dim);
    attnp_put_uint(writer, "output_dim", output_dim);
    attnp_put_uint(writer, "model_dim", facts->model_dim);
    attnp_put_uint(writer, "heads", facts->heads);
    attnp_put_uint(writer, "window", facts->window);
    attnp_put_uint(writer, "layers", facts->layers);
    put_labels(writer, facts);
    if (facts->frontend != NULL)
        attnp_put_string(writer, "frontend", facts->frontend);
    attnp_put_uint(writer, "replay_frames", facts->replay_frames);
    attnp_put_uint(writer, "warming_frames", facts->warming_frames);
    attnp_put_uint(writer, "state_bytes", stream_block_bytes(model->plan, ATTNP_OUTPUT_SCORES, credit));
    attnp_put_string(writer, "hash", hash);
}

/* Labels of all models together could exceed a message, so `models` takes an optional name. */
int look_models(struct connection *connection, const struct asker *asker, const msgpack_object *params,
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

/* A map of n_fields and, where there is one, the name of the stream and of its model. */
static void begin_stream(struct attnp_writer *writer, const struct card_view *view, uint32_t n_fields)
{
    attnp_write_map(writer, n_fields + (view->name[0] != '\0') + (view->model[0] != '\0'));
    if (view->name[0] != '\0')
        attnp_put_string(writer, "name", view->name);
    if (view->model[0] != '\0')
        attnp_put_string(writer, "model", view->model);
}

static void put_stream(struct attnp_writer *writer, const struct card_view *view)
{
    begin_stream(writer, view, 5);
    attnp_put_uint(writer, "stream", view->number);
    attnp_put_uint(writer, "uid", view->uid);
    attnp_put_uint(writer, "position", view->position);
    attnp_put_uint(writer, "next_frame", view->next_frame);
    attnp_put_uint(writer, "queue", view->next_frame > view->settled ? view->next_frame - view->settled : 0);
}

int look_streams(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                 struct attnp_error *error)
{
    const msgpack_object *after = attnp_map_get(params, "after");
    uint64_t most = config_number(connection->shard->shared->config, CONFIG_limits_message_bytes);
    uint64_t fitting = (most - AROUND_BYTES) / STREAM_BYTES;
    size_t n_page = fitting < PAGE_STREAMS ? (size_t)fitting : PAGE_STREAMS;
    bool more;
    if (after != NULL && after->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return attnp_fail(error, ATTNP_BAD_PARAMS,
                          "after has to be a stream's number: the last one of the page before");
    struct card_view *views = malloc(n_page * sizeof(*views));
    if (views == NULL)
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for the list; try again later");
    size_t n = registry_list(connection->shard->shared->registry, after != NULL ? after->via.u64 : 0, connection->uid,
                             connection_is_operator(connection), views, n_page, &more);
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
    begin_stream(writer, &view, 25);
    attnp_put_double(writer, "cost_us", view.cost_us);
    attnp_put_double(writer, "cost_us_batched", view.cost_us_batched);
    attnp_put_uint(writer, "stream", view.number);
    attnp_put_uint(writer, "uid", view.uid);
    attnp_put_uint(writer, "shard", view.shard);
    attnp_put_uint(writer, "position", view.position);
    attnp_put_uint(writer, "next_frame", view.next_frame);
    attnp_put_uint(writer, "input_dim", view.input_dim);
    attnp_put_uint(writer, "output_dim", view.output_dim);
    attnp_put_uint(writer, "credit", view.credit);
    attnp_put_uint(writer, "queue", view.next_frame > view.settled ? view.next_frame - view.settled : 0);
    attnp_put_uint(writer, "lag_us", view.lag_us);
    attnp_put_uint(writer, "frames", view.frames);
    attnp_put_uint(writer, "outputs", view.outputs);
    attnp_put_uint(writer, "refused", view.refused);
    attnp_put_uint(writer, "dropped", view.dropped);
    attnp_put_uint(writer, "skipped", view.skipped);
    attnp_put_uint(writer, "missed", view.missed);
    attnp_put_bool(writer, "parked", view.parked_us != 0);
    attnp_put_uint(writer, "bytes_in", view.bytes_in);
    attnp_put_uint(writer, "bytes_out", view.bytes_out);
    attnp_put_uint(writer, "state_bytes", view.bytes);
    attnp_put_uint(writer, "cpu_us", view.computing_ns / 1000);
    attnp_put_bool(writer, "warming", view.position < view.warming_frames);
    attnp_put_uint(writer, "age_s", seconds_since(view.opened_us));
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

static uint64_t sum_of(const struct shared *shared, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < shared->n_shards; i++)
        sum += counters_get(
            (const atomic_uint_fast64_t *)(const void *)((const char *)&shared->shards[i].counters + offset));
    return sum;
}

/* Of each error that was told at least once, how often. */
static void put_errors(struct attnp_writer *writer, const struct shared *shared)
{
    uint64_t counts[COUNTERS_ERRORS];
    uint32_t n_told = 0;
    for (size_t code = 0; code < COUNTERS_ERRORS; code++) {
        counts[code] = sum_of(shared, offsetof(struct counters, errors) + code * sizeof(atomic_uint_fast64_t));
        if (code == ATTNP_SERVER_FULL)
            counts[code] += counters_get(&shared->n_turned_away);
        n_told += counts[code] != 0;
    }
    attnp_write_key(writer, "errors");
    attnp_write_map(writer, n_told);
    for (size_t code = 0; code < COUNTERS_ERRORS; code++)
        if (counts[code] != 0)
            attnp_put_uint(writer, attnp_error_name((enum attnp_code)code), counts[code]);
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
    attnp_write_map(writer, 15 COUNTERS(X));
#undef X
#define X(name) attnp_put_uint(writer, #name, sum_of(shared, offsetof(struct counters, name)));
    COUNTERS(X)
#undef X
    attnp_put_string(writer, "version", plan_library_version());
    attnp_put_uint(writer, "pid", (uint64_t)getpid());
    attnp_put_uint(writer, "uptime_s", seconds_since(shared->started_us));
    attnp_put_uint(writer, "shards", shared->n_shards);
    attnp_put_uint(writer, "connections", sum_of(shared, offsetof(struct counters, connections)));
    attnp_put_uint(writer, "streams", n_streams);
    attnp_put_uint(writer, "max_streams", most_streams);
    attnp_put_uint(writer, "models", models_count(shared->models));
    attnp_put_uint(writer, "state_bytes", bytes);
    attnp_put_uint(writer, "max_state_bytes", most_bytes);
    attnp_put_uint(writer, "cpu_us", sum_of(shared, offsetof(struct counters, computing_ns)) / 1000);
    put_lags(writer, shared);
    put_errors(writer, shared);
    reply_send(connection->shard, asker);
    return 0;
}
