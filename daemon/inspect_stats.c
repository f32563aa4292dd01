/* SPDX-License-Identifier: MIT */
/* `stats`: totals, shards, models. */
#include "daemon/inspect.h"

#include <pthread.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "daemon/inspect_models.h"
#include "daemon/registry.h"
#include "daemon/reply.h"

/* The most that the totals and each shard take of a message, values with keys and bytes. */
#define TOTALS_VALUES 256
#define TOTALS_BYTES  2560
#define SHARD_VALUES  48
#define SHARD_BYTES   400

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

#define X(name) +1
enum { N_TOTALS = 22 COUNTERS(X) };
#undef X

static void put_totals(struct attnp_writer *writer, const struct shared *shared)
{
    uint64_t n_streams, bytes, most_streams, most_bytes;
    struct traffic_sum sum;
    registry_totals(shared->registry, &n_streams, &bytes, &most_streams, &most_bytes);
    traffic_add_up(shared->traffic, 0, shared->n_shards, &sum);
    attnp_put_string(writer, "version", plan_library_version());
    attnp_put_uint(writer, "pid", (uint64_t)getpid());
    attnp_put_uint(writer, "uptime_s", (shard_now_us() - shared->started_us) / 1000000);
    attnp_put_uint(writer, "connections", sum_of(shared, offsetof(struct counters, connections)));
    attnp_put_uint(writer, "streams", n_streams);
    attnp_put_uint(writer, "max_streams", most_streams);
    attnp_put_uint(writer, "parked", sum_of(shared, offsetof(struct counters, parked)));
    attnp_put_uint(writer, "served_models", models_count(shared->models));
    attnp_put_uint(writer, "state_bytes", bytes);
    attnp_put_uint(writer, "max_state_bytes", most_bytes);
    attnp_put_uint(writer, "queue", traffic_waiting(&sum));
    attnp_put_uint(writer, "frames", sum.frames);
    attnp_put_uint(writer, "outputs", sum.outputs);
    attnp_put_uint(writer, "refused", sum.refused);
    attnp_put_uint(writer, "dropped", sum.dropped);
    attnp_put_uint(writer, "skipped", sum.skipped);
    attnp_put_uint(writer, "missed", sum.missed);
#define X(name) attnp_put_uint(writer, #name, sum_of(shared, offsetof(struct counters, name)));
    COUNTERS(X)
#undef X
    attnp_put_uint(writer, "cpu_us", sum.computing_ns / 1000);
    attnp_put_uint(writer, "lag_us_p50", inspect_lag(&sum, 0.5));
    attnp_put_uint(writer, "lag_us_p99", inspect_lag(&sum, 0.99));
    attnp_put_uint(writer, "lag_us_p999", inspect_lag(&sum, 0.999));
    put_errors(writer, shared);
}

/* Of the whole thread, reading and writing included. */
static uint64_t cpu_us_of(const struct shard *shard)
{
    clockid_t clock;
    struct timespec time = {0};
    if (!atomic_load(&shard->turn.is_running) || pthread_getcpuclockid(shard->turn.thread, &clock) != 0 ||
        clock_gettime(clock, &time) != 0)
        return 0;
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static uint64_t oldest_wait_us(const struct shard *shard)
{
    uint64_t oldest_us = counters_get(&shard->batch.oldest_us), now_us = shard_now_us();
    return oldest_us != 0 && now_us > oldest_us ? now_us - oldest_us : 0;
}

static void put_shard(struct attnp_writer *writer, const struct shard *shard)
{
    const struct counters *counters = &shard->counters;
    struct traffic_sum sum;
    traffic_add_up(shard->shared->traffic, shard->index, shard->index + 1, &sum);
    attnp_write_map(writer, 13);
    attnp_put_uint(writer, "shard", shard->index);
    attnp_put_double(writer, "utilisation", (double)counters_get(&shard->use.utilisation_permille) / 1000);
    attnp_put_double(writer, "claimed", (double)counters_get(&shard->ledger.claimed_ns) / 1e9);
    attnp_put_uint(writer, "queue", traffic_waiting(&sum));
    attnp_put_uint(writer, "oldest_wait_us", oldest_wait_us(shard));
    attnp_put_uint(writer, "connections", counters_get(&counters->connections));
    attnp_put_uint(writer, "streams", sum.streams);
    attnp_put_uint(writer, "parked", counters_get(&counters->parked));
    attnp_put_uint(writer, "cpu_us", cpu_us_of(shard));
    inspect_put_lags(writer, &sum);
    attnp_put_uint(writer, "batches", counters_get(&counters->batches));
    attnp_put_uint(writer, "batch_frames", sum.computed);
    attnp_write_key(writer, "batch_sizes");
    attnp_write_array(writer, TRAFFIC_SIZES);
    for (size_t i = 0; i < TRAFFIC_SIZES; i++)
        attnp_write_uint(writer, sum.sizes[i]);
}

static void put_shards(struct attnp_writer *writer, const struct shared *shared)
{
    attnp_write_key(writer, "shards");
    attnp_write_array(writer, shared->n_shards);
    for (unsigned i = 0; i < shared->n_shards; i++)
        put_shard(writer, &shared->shards[i]);
}

/* What a message has left beside the totals and the shards. */
static struct inspect_size room_for_models(const struct shared *shared)
{
    uint64_t most = config_number(shared->config, CONFIG_limits_message_bytes);
    uint64_t n_values = TOTALS_VALUES + (uint64_t)shared->n_shards * SHARD_VALUES;
    uint64_t n_bytes = TOTALS_BYTES + (uint64_t)shared->n_shards * SHARD_BYTES;
    return (struct inspect_size){ATTNP_MAX_ELEMENTS > n_values ? ATTNP_MAX_ELEMENTS - n_values : 0,
                                 most > n_bytes ? most - n_bytes : 0};
}

static int read_params(const msgpack_object *params, const msgpack_object **after, bool *detail,
                       struct attnp_error *error)
{
    const msgpack_object *given = attnp_map_get(params, "detail");
    *after = attnp_map_get(params, "after");
    if (given != NULL && given->type != MSGPACK_OBJECT_BOOLEAN)
        return attnp_fail(error, ATTNP_BAD_PARAMS, "detail has to be a boolean");
    if (*after != NULL && (*after)->type != MSGPACK_OBJECT_STR)
        return attnp_fail(error, ATTNP_BAD_PARAMS,
                          "after has to be a string: the name of the last model of the part before");
    *detail = given != NULL && given->via.boolean;
    return 0;
}

int inspect_stats(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                  struct attnp_error *error)
{
    const struct shared *shared = connection->shard->shared;
    const msgpack_object *after;
    struct inspect_page page;
    bool detail = false;
    if (read_params(params, &after, &detail, error) != 0)
        return -1;
    inspect_page_init(&page, shared, after != NULL ? after->via.str.ptr : NULL, after != NULL ? after->via.str.size : 0,
                      detail, room_for_models(shared));
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    attnp_write_map(writer, after != NULL ? 2 : N_TOTALS + 3);
    if (after == NULL) {
        put_totals(writer, shared);
        put_shards(writer, shared);
    }
    inspect_page_put(&page, writer);
    inspect_page_done(&page);
    reply_send(connection->shard, asker);
    return 0;
}
