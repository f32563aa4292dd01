/* SPDX-License-Identifier: MIT */
/* `streams` and `info`: what the cards of streams say. */
#include "daemon/inspect.h"

#include <stdlib.h>

#include "daemon/registry.h"
#include "daemon/reply.h"

/* What `streams` tells of each: NAME(type of attnp_put_, value). Besides, its name and model where it has one. */
#define STREAM_FIELDS(X)                                                                                               \
    X(stream, uint, view->number)                                                                                      \
    X(uid, uint, view->uid)                                                                                            \
    X(position, uint, view->position)                                                                                  \
    X(next_frame, uint, view->next_frame)                                                                              \
    X(queue, uint, waiting(view))                                                                                      \
    X(frames, uint, view->frames)                                                                                      \
    X(outputs, uint, view->outputs)                                                                                    \
    X(refused, uint, view->refused)                                                                                    \
    X(dropped, uint, view->dropped)                                                                                    \
    X(skipped, uint, view->skipped)                                                                                    \
    X(missed, uint, view->missed)                                                                                      \
    X(lag_us, uint, view->lag_us)                                                                                      \
    X(cpu_us, uint, view->computing_ns / 1000)                                                                         \
    X(parked, bool, view->parked_us != 0)

/* `info` tells these, too. */
#define INFO_FIELDS(X)                                                                                                 \
    X(shard, uint, view->shard)                                                                                        \
    X(cost_us, double, view->cost_us)                                                                                  \
    X(cost_us_batched, double, view->cost_us_batched)                                                                  \
    X(input_dim, uint, view->input_dim)                                                                                \
    X(output_dim, uint, view->output_dim)                                                                              \
    X(credit, uint, view->credit)                                                                                      \
    X(oldest_wait_us, uint, oldest_wait_us(view))                                                                      \
    X(rate, double, view->terms.rate)                                                                                  \
    X(deadline_ms, uint, view->terms.deadline_ms)                                                                      \
    X(late, string, late_word(view->terms.late))                                                                       \
    X(bytes_in, uint, view->bytes_in)                                                                                  \
    X(bytes_out, uint, view->bytes_out)                                                                                \
    X(state_bytes, uint, view->bytes)                                                                                  \
    X(warming, bool, view->position < view->warming_frames)                                                            \
    X(parked_s, uint, view->parked_us != 0 ? seconds_since(view->parked_us) : 0)                                       \
    X(idle_s, uint, view->active_us != 0 ? seconds_since(view->active_us) : 0)                                         \
    X(age_s, uint, seconds_since(view->opened_us))

/* Of a map: how many, and the most bytes of key and value, a number's with its type. */
#define X(name, type, value) +1
enum { N_STREAM_FIELDS = 0 STREAM_FIELDS(X), N_INFO_FIELDS = 0 INFO_FIELDS(X) };
#undef X
#define X(name, type, value) +sizeof(#name) + 9
enum { STREAM_BYTES = 5 + 2 * sizeof("model") + ATTNP_MAX_NAME + ATTNP_MAX_MODEL + 2 * 3 STREAM_FIELDS(X) };
#undef X
#define AROUND_BYTES  64 /* the list */
#define AROUND_VALUES 16

/* Streams in one answer to `streams`: within the values of a message, that is the map, its keys and its values. */
#define PAGE_STREAMS ((ATTNP_MAX_ELEMENTS - AROUND_VALUES) / (1 + 2 * (N_STREAM_FIELDS + 2)))

static uint64_t seconds_since(uint64_t then_us)
{
    return (shard_now_us() - then_us) / 1000000;
}

static uint64_t waiting(const struct card_view *view)
{
    return view->next_frame > view->settled ? view->next_frame - view->settled : 0;
}

static uint64_t oldest_wait_us(const struct card_view *view)
{
    uint64_t now_us = shard_now_us();
    return view->oldest_us != 0 && now_us > view->oldest_us ? now_us - view->oldest_us : 0;
}

static const char *late_word(enum attnp_late late)
{
    static const char *const words[] = {"block", "drop-oldest", "skip-output"};
    return words[late];
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

#define X(name, type, value) attnp_put_##type(writer, #name, value);
static void put_fields(struct attnp_writer *writer, const struct card_view *view)
{
    STREAM_FIELDS(X)
}

static void put_more_fields(struct attnp_writer *writer, const struct card_view *view)
{
    INFO_FIELDS(X)
}
#undef X

int inspect_streams(struct connection *connection, const struct asker *asker, const msgpack_object *params,
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
    for (size_t i = 0; i < n; i++) {
        begin_stream(writer, &views[i], N_STREAM_FIELDS);
        put_fields(writer, &views[i]);
    }
    free(views);
    reply_send(connection->shard, asker);
    return 0;
}

int inspect_info(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                 struct attnp_error *error)
{
    struct attnp_target target;
    struct card_view view;
    if (attnp_target_read(&target, params, error) != 0 ||
        registry_look(connection->shard->shared->registry, &target, connection->uid, connection_is_operator(connection),
                      &view, error) != 0)
        return -1;
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    begin_stream(writer, &view, N_STREAM_FIELDS + N_INFO_FIELDS);
    put_fields(writer, &view);
    put_more_fields(writer, &view);
    reply_send(connection->shard, asker);
    return 0;
}
