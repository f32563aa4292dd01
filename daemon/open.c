/* SPDX-License-Identifier: MIT */
#include "daemon/open.h"

#include <assert.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/admission.h"
#include "daemon/answers.h"
#include "daemon/costs.h"
#include "daemon/deadline.h"
#include "daemon/idle.h"
#include "daemon/models.h"
#include "daemon/pending.h"
#include "daemon/pushes.h"
#include "daemon/reply.h"

/* A stream that is being opened: what is known so far. */
struct opening {
    struct attnp_open request;
    struct model *model; /* used */
    const struct plan *plan;
    struct traffic *traffic;
    uint32_t credit;
};

/* A frame and an output, floats each, have to fit a message of `most` bytes. */
static int check_messages(uint64_t frame, uint64_t output, bool retroactive, uint64_t most, struct attnp_error *error)
{
    if (frame > most / sizeof(float) || pushes_bytes(frame * sizeof(float)) > most + ATTNP_LENGTH_BYTES)
        return attnp_fail(error, ATTNP_LIMIT_EXCEEDED,
                          "a frame of %ju floats does not fit a message of %ju bytes; raise message_bytes in [limits]",
                          (uintmax_t)frame, (uintmax_t)most);
    if (output > most / sizeof(float) || answers_bytes(output * sizeof(float)) > most + ATTNP_LENGTH_BYTES)
        return attnp_fail(
            error, ATTNP_LIMIT_EXCEEDED,
            "an output of %ju floats%s does not fit a message of %ju bytes; %sraise message_bytes in [limits]",
            (uintmax_t)output, retroactive ? ", since it has a row for each frame of the window," : "", (uintmax_t)most,
            retroactive ? "use a smaller window, or " : "");
    return 0;
}

/* The same for an attention, before its plan is made. Dimensions whose product is no number are left to the library,
 * which allows far smaller ones. */
static int check_attention(const struct attnp_attention *attention, uint64_t most, struct attnp_error *error)
{
    uint64_t row = (uint64_t)attention->heads * attention->head_dim, frame, output;
    if (__builtin_mul_overflow(row, (uint64_t)3, &frame) ||
        __builtin_mul_overflow(row, (uint64_t)(attention->retroactive ? attention->window : 1), &output))
        return 0;
    return check_messages(frame, output, attention->retroactive, most, error);
}

static int make_attention(struct opening *opening, uint64_t most, struct attnp_error *error)
{
    struct plan *plan;
    if (check_attention(&opening->request.attention, most, error) != 0 ||
        plan_of_attention(&plan, &opening->request.attention, error) != 0)
        return -1;
    opening->model = model_new("", plan);
    if (opening->model != NULL)
        return 0;
    plan_free(plan);
    return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for an attention; try again later");
}

static int find_model(struct opening *opening, struct models *models, uint64_t most, struct attnp_error *error)
{
    const struct attnp_string *name = &opening->request.model;
    if (opening->request.has_attention)
        return make_attention(opening, most, error);
    opening->model = models_find(models, name->data, name->n);
    if (opening->model == NULL)
        return attnp_fail(error, ATTNP_UNKNOWN_MODEL,
                          "no model is called '%.*s'; `models` lists the %zu that are served",
                          (int)(name->n < 64 ? name->n : 64), name->data, models_count(models));
    return 0;
}

static int check_sizes(struct opening *opening, uint64_t most, struct attnp_error *error)
{
    opening->plan = opening->model->plan;
    uint64_t input_dim = plan_facts(opening->plan)->input_dim;
    uint64_t output_dim = plan_output_dim(opening->plan, opening->request.output);
    if (output_dim == 0)
        return attnp_fail(error, ATTNP_BAD_PARAMS, "there is no such output here; a raw attention has 'scores' only");
    if (check_messages(input_dim, output_dim, opening->request.attention.retroactive, most, error) != 0)
        return -1;
    opening->credit = attnp_credit(input_dim * sizeof(float), output_dim * sizeof(float));
    if (stream_block_bytes(opening->plan, opening->request.output, opening->credit) == 0)
        return attnp_fail(error, ATTNP_OVER_CAPACITY, "the state is larger than any memory; use a smaller window");
    return 0;
}

static void fill_card(struct card *card, const struct opening *opening, uid_t uid)
{
    const struct attnp_string *name = &opening->request.name;
    if (name->data != NULL)
        memcpy(card->name, name->data, name->n); /* at most ATTNP_MAX_NAME, checked by its reader */
    strcpy(card->model, opening->model->name);
    card->uid = uid;
    card->opened_us = shard_now_us();
    card->terms = (struct card_terms){opening->request.rate, opening->request.deadline_ms, opening->request.late};
}

static int check_number(const struct connection *connection, struct attnp_error *error)
{
    if (connection->n_streams < config_number(connection->shard->shared->config, CONFIG_limits_streams_per_connection))
        return 0;
    return attnp_fail(error, ATTNP_OVER_CAPACITY,
                      "this connection holds %zu streams, which is the limit; close some, or use another connection",
                      connection->n_streams);
}

int open_provide(struct connection *connection, const struct stream *stream, struct attnp_error *error)
{
    if (check_number(connection, error) != 0)
        return -1;
    if (shard_reserve_scratch(connection->shard, plan_facts(stream->plan)->scratch_bytes) != 0)
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory to compute stream %ju; try again later",
                          (uintmax_t)stream->card.number);
    return connection_provide(connection, &stream->held, error);
}

static int no_memory(const struct stream *stream, struct attnp_error *error)
{
    return attnp_fail(error, ATTNP_NO_MEMORY,
                      "no memory for a stream of %ju bytes; close streams or use a smaller window",
                      (uintmax_t)stream->card.bytes);
}

/* All the memory that the stream will ever need: its block, scratch, and room for its outputs among those of its
 * connection. */
static int start(struct connection *connection, struct stream *stream, const struct attnp_open *request,
                 struct attnp_error *error)
{
    connection_held_init(&stream->held, stream->card.number, stream->card.credit * stream->frame_bytes,
                         stream->card.credit * answers_bytes(stream->output_bytes));
    if (open_provide(connection, stream, error) != 0)
        return -1;
    if (getrandom(stream->token, sizeof(stream->token), 0) != (ssize_t)sizeof(stream->token) ||
        stream_start(stream) != 0)
        return no_memory(stream, error);
    pending_init(stream);
    deadline_start(stream, request->deadline_ms, request->late, request->answer_from);
    return 0;
}

static struct stream *new_stream(const struct opening *opening, uid_t uid, struct attnp_error *error)
{
    const struct stream_shape shape = {opening->model, opening->request.output, opening->credit,
                                       opening->request.first_frame, opening->request.position};
    struct stream *stream = stream_new(&shape);
    if (stream == NULL)
        attnp_fail(error, ATTNP_NO_MEMORY, "no memory for a stream; try again later");
    else
        fill_card(&stream->card, opening, uid);
    return stream;
}

static struct stream *make_stream(struct connection *connection, const struct opening *opening,
                                  struct attnp_error *error)
{
    struct shard *shard = connection->shard;
    struct registry *registry = shard->shared->registry;
    if (model_is_attention(opening->model)) /* models are known since they are served */
        costs_learn(shard->shared->costs, opening->model, COSTS_ATTENTION_NS);
    struct stream *stream = new_stream(opening, connection->uid, error);
    if (stream == NULL)
        return NULL;
    if (registry_add(registry, &stream->card, shard->index, connection->id, error) != 0)
        goto free_stream;
    if (admission_enter(shard, &stream->claim, opening->model, opening->request.rate, opening->request.deadline_ms,
                        error) != 0)
        goto leave_registry;
    if (start(connection, stream, &opening->request, error) == 0)
        return stream;
    admission_leave(shard, &stream->claim);
leave_registry:
    registry_remove(registry, &stream->card);
free_stream:
    stream_free(stream);
    return NULL;
}

static void put_labels(struct attnp_writer *writer, const struct plan_facts *facts, uint32_t output_dim)
{
    uint32_t n = facts->n_labels == output_dim ? facts->n_labels : 0;
    attnp_write_key(writer, "labels");
    attnp_write_array(writer, n);
    for (uint32_t i = 0; i < n; i++)
        attnp_write_string(writer, facts->labels[i], strlen(facts->labels[i]));
}

void open_answer(struct connection *connection, const struct asker *asker, const struct stream *stream)
{
    const struct plan_facts *facts = plan_facts(stream->plan);
    assert(stream->held.by == connection && connection_is_holder(&stream->held, connection->shard, asker));
    struct attnp_writer *writer = reply_begin(connection->shard, asker);
    attnp_write_map(writer, facts->frontend != NULL ? 13 : 12);
    attnp_put_uint(writer, "stream", stream->card.number);
    attnp_put_bin(writer, "token", stream->token, sizeof(stream->token));
    attnp_put_uint(writer, "input_dim", facts->input_dim);
    attnp_put_uint(writer, "output_dim", stream->card.output_dim);
    put_labels(writer, facts, stream->card.output_dim);
    attnp_put_uint(writer, "credit", stream->card.credit);
    attnp_put_uint(writer, "next_frame", stream->sequence.next);
    attnp_put_uint(writer, "position", plan_position(stream->state));
    attnp_put_uint(writer, "replay_frames", facts->replay_frames);
    attnp_put_uint(writer, "state_bytes", stream->card.bytes);
    attnp_put_uint(writer, "window", facts->window);
    attnp_put_uint(writer, "warming_frames", facts->warming_frames);
    if (facts->frontend != NULL)
        attnp_put_string(writer, "frontend", facts->frontend);
    reply_send(connection->shard, asker);
}

static int find_traffic(struct opening *opening, const struct shard *shard, struct attnp_error *error)
{
    opening->traffic = traffic_of(shard->shared->traffic, opening->model->name, shard->index);
    if (opening->traffic != NULL)
        return 0;
    return attnp_fail(error, ATTNP_NO_MEMORY, "no memory to count the stream's frames; try again later");
}

int open_request(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                 struct attnp_error *error)
{
    struct opening opening = {.model = NULL};
    struct shard *shard = connection->shard;
    uint64_t most = config_number(shard->shared->config, CONFIG_limits_message_bytes);
    struct stream *stream = NULL;
    if (attnp_open_read(&opening.request, params, error) != 0 || check_number(connection, error) != 0)
        return -1;
    if (find_model(&opening, shard->shared->models, most, error) == 0 && check_sizes(&opening, most, error) == 0 &&
        find_traffic(&opening, shard, error) == 0)
        stream = make_stream(connection, &opening, error);
    model_release(opening.model);
    if (stream == NULL)
        return -1;
    connection_hold(connection, &stream->held);
    idle_active(shard, stream, shard_now_us());
    stream_count_in(stream, opening.traffic);
    counters_add(&shard->counters.opened, 1);
    open_answer(connection, asker, stream);
    return 0;
}
