/* SPDX-License-Identifier: MIT */
/*
 * An open goes through steps, of which two may take long, and are then done away from the shard's thread (away.h):
 * making the plan of a raw attention and measuring what its frames cost, and filling the block of a large state. What
 * can be refused without them is refused before: the name, the user's quota, the sizes of messages. Meanwhile the
 * connection handles no further message, so that what a client asks is done in order. The connection may be gone when a
 * step is done; then everything is given back.
 *
 * Between the two the stream is registered, since its name and memory are taken; nobody holds it, and nothing can be
 * asked of it (is_opening).
 */
#include "daemon/open.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/admission.h"
#include "daemon/answers.h"
#include "daemon/away.h"
#include "daemon/costs.h"
#include "daemon/deadline.h"
#include "daemon/idle.h"
#include "daemon/models.h"
#include "daemon/pending.h"
#include "daemon/pushes.h"
#include "daemon/registry.h"
#include "daemon/release.h"
#include "daemon/reply.h"

/* A stream that is being opened: what is known so far. */
struct opening {
    struct away away;
    struct shard *shard;
    struct asker asker;
    uid_t uid;
    struct attnp_open request; /* its texts and landmarks are copied behind this struct */
    struct model *model;       /* used */
    struct stream *stream;     /* registered, and without a holder; NULL: not yet */
    uint32_t credit;
    struct attnp_error error; /* of the step that was away */
    bool has_failed;
    uint8_t copied[];
};

/* Copies n bytes to *place, which moves on; NULL stays NULL. */
static const void *copy(uint8_t **place, const void *bytes, size_t n)
{
    uint8_t *to = *place;
    if (bytes == NULL)
        return NULL;
    memcpy(to, bytes, n);
    *place += n;
    return to;
}

/* Owner: the caller. NULL: no memory. */
static struct opening *new_opening(const struct connection *connection, const struct asker *asker,
                                   const struct attnp_open *request)
{
    const struct attnp_attention *attention = &request->attention;
    size_t n_copied = request->name.n + request->model.n + attention->n_q_bytes + attention->n_k_bytes;
    struct opening *opening = calloc(1, sizeof(*opening) + n_copied);
    if (opening == NULL)
        return NULL;
    opening->shard = connection->shard;
    opening->asker = *asker;
    opening->uid = connection->uid;
    opening->request = *request;
    uint8_t *place = opening->copied;
    opening->request.name.data = copy(&place, request->name.data, request->name.n);
    opening->request.model.data = copy(&place, request->model.data, request->model.n);
    opening->request.attention.q_landmarks = copy(&place, attention->q_landmarks, attention->n_q_bytes);
    opening->request.attention.k_landmarks = copy(&place, attention->k_landmarks, attention->n_k_bytes);
    return opening;
}

static void free_opening(struct opening *opening)
{
    model_release(opening->model);
    free(opening);
}

/* The connection that asked, if it is still there. */
static struct connection *who_asked(const struct opening *opening)
{
    struct connection *connection = connection_find(opening->shard, opening->asker.connection);
    return connection != NULL && connection->phase == CONNECTION_OPEN ? connection : NULL;
}

static uint64_t message_bytes(const struct opening *opening)
{
    return config_number(opening->shard->shared->config, CONFIG_limits_message_bytes);
}

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

/* The sizes of messages for an attention, before its plan is made. Dimensions whose product is no number are left to
 * the library, which allows far smaller ones. */
static int check_attention(const struct connection *connection, const struct attnp_open *request,
                           struct attnp_error *error)
{
    const struct attnp_attention *attention = &request->attention;
    uint64_t row = (uint64_t)attention->heads * attention->head_dim, frame, output;
    if (!request->has_attention || __builtin_mul_overflow(row, (uint64_t)3, &frame) ||
        __builtin_mul_overflow(row, (uint64_t)(attention->retroactive ? attention->window : 1), &output))
        return 0;
    return check_messages(frame, output, attention->retroactive,
                          config_number(connection->shard->shared->config, CONFIG_limits_message_bytes), error);
}

/* At least so much does the state of an attention take: the keys and values of its window. */
static uint64_t least_bytes(const struct attnp_attention *attention)
{
    uint64_t row = (uint64_t)attention->heads * attention->head_dim, bytes;
    bool is_none = __builtin_mul_overflow(row, (uint64_t)attention->window * 2 * sizeof(float), &bytes);
    return is_none ? 0 : bytes; /* the library refuses what is so large */
}

/* What the user does not have. Memory that is given back away from here is still the user's, but will have been given
 * back when the attention is made, which takes its turn behind that; then its memory is judged. */
static int check_user(const struct connection *connection, const struct attnp_open *request, struct attnp_error *error)
{
    bool is_judged = request->has_attention && STAILQ_EMPTY(&connection->share->away);
    return registry_check(connection->shard->shared->registry, connection->uid, request->name.data, request->name.n,
                          is_judged ? least_bytes(&request->attention) : 0, error);
}

static int find_model(struct opening *opening, struct attnp_error *error)
{
    struct models *models = opening->shard->shared->models;
    const struct attnp_string *name = &opening->request.model;
    opening->model = models_find(models, name->data, name->n);
    if (opening->model != NULL)
        return 0;
    return attnp_fail(error, ATTNP_UNKNOWN_MODEL, "no model is called '%.*s'; `models` lists the %zu that are served",
                      (int)(name->n < 64 ? name->n : 64), name->data, models_count(models));
}

static int check_sizes(struct opening *opening, struct attnp_error *error)
{
    const struct plan *plan = opening->model->plan;
    uint64_t input_dim = plan_facts(plan)->input_dim, output_dim = plan_output_dim(plan, opening->request.output);
    if (output_dim == 0)
        return attnp_fail(error, ATTNP_BAD_PARAMS, "there is no such output here; a raw attention has 'scores' only");
    if (check_messages(input_dim, output_dim, opening->request.attention.retroactive, message_bytes(opening), error) !=
        0)
        return -1;
    opening->credit = attnp_credit(input_dim * sizeof(float), output_dim * sizeof(float));
    if (stream_block_bytes(plan, opening->request.output, opening->credit) == 0)
        return attnp_fail(error, ATTNP_OVER_CAPACITY, "the state is larger than any memory; use a smaller window");
    return 0;
}

static void fill_card(struct card *card, const struct opening *opening)
{
    const struct attnp_string *name = &opening->request.name;
    if (name->data != NULL)
        memcpy(card->name, name->data, name->n); /* at most ATTNP_MAX_NAME, checked by its reader */
    strcpy(card->model, opening->model->name);
    card->uid = opening->uid;
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
    bool with_events = facts->events != NULL && facts->n_labels == stream->card.output_dim;
    attnp_write_map(writer, 12 + (facts->frontend != NULL) + with_events);
    attnp_put_uint(writer, "stream", stream->card.number);
    attnp_put_bin(writer, "token", stream->open.token, sizeof(stream->open.token));
    attnp_put_uint(writer, "input_dim", facts->input_dim);
    attnp_put_uint(writer, "output_dim", stream->card.output_dim);
    put_labels(writer, facts, stream->card.output_dim);
    attnp_put_uint(writer, "credit", stream->card.credit);
    attnp_put_uint(writer, "next_frame", stream->sequence.next);
    attnp_put_uint(writer, "position", counters_get(&stream->card.position));
    attnp_put_uint(writer, "replay_frames", facts->replay_frames);
    attnp_put_uint(writer, "state_bytes", stream->card.bytes);
    attnp_put_uint(writer, "window", facts->window);
    attnp_put_uint(writer, "warming_frames", facts->warming_frames);
    if (facts->frontend != NULL)
        attnp_put_string(writer, "frontend", facts->frontend);
    if (with_events)
        attnp_put_string(writer, "events", facts->events);
    reply_send(connection->shard, asker);
}

static struct stream *new_stream(const struct opening *opening, struct attnp_error *error)
{
    const struct stream_shape shape = {opening->model, opening->request.output, opening->credit,
                                       opening->request.first_frame, opening->request.position};
    struct stream *stream = stream_new(&shape);
    if (stream == NULL) {
        attnp_fail(error, ATTNP_NO_MEMORY, "no memory for a stream; try again later");
        return NULL;
    }
    fill_card(&stream->card, opening);
    pending_init(stream);
    deadline_start(stream, opening->request.deadline_ms, opening->request.late, opening->request.answer_from);
    stream->open.is_opening = true;
    return stream;
}

/* Its user's other frames wait for a dear one: one that would take too long is refused. */
static int check_frame(const struct opening *opening, struct attnp_error *error)
{
    uint64_t most_ms = config_number(opening->shard->shared->config, CONFIG_limits_frame_ms);
    double worst_ms = model_worst_ns(opening->model) / 1e6;
    if (worst_ms <= (double)most_ms)
        return 0;
    return attnp_fail(error, ATTNP_LIMIT_EXCEEDED,
                      "a frame may take %.1f ms here, and the limit is %ju ms; use a smaller "
                      "window or fewer landmarks%s, or raise frame_ms in [limits]",
                      worst_ms, (uintmax_t)most_ms, opening->request.has_attention ? ", or refresh spread" : "");
}

/* Takes what a stream needs of its user and its shard, before memory is made for it. */
static int register_stream(struct opening *opening, struct attnp_error *error)
{
    struct shard *shard = opening->shard;
    const struct attnp_open *request = &opening->request;
    if (check_sizes(opening, error) != 0 || check_frame(opening, error) != 0)
        return -1;
    struct stream *stream = new_stream(opening, error);
    if (stream == NULL)
        return -1;
    if (registry_add(shard->shared->registry, &stream->card, shard->index, opening->asker.connection, error) != 0)
        goto free_stream;
    const struct admission_wish wish = {opening->uid, opening->model, request->rate, request->deadline_ms};
    if (admission_enter(shard, &stream->claim, &wish, error) != 0)
        goto leave_registry;
    connection_held_init(&stream->held, stream->card.number, stream->card.credit * stream->frame_bytes,
                         stream->card.credit * answers_bytes(stream->output_bytes));
    opening->stream = stream;
    return 0;
leave_registry:
    registry_remove(shard->shared->registry, &stream->card);
free_stream:
    stream_free(stream);
    return -1;
}

static void unregister_stream(struct opening *opening)
{
    struct stream *stream = opening->stream;
    if (stream == NULL)
        return;
    admission_leave(opening->shard, &stream->claim);
    release_state(opening->shard, stream);
    registry_remove(opening->shard->shared->registry, &stream->card);
    stream_free(stream);
}

static int fill(struct opening *opening)
{
    struct stream *stream = opening->stream;
    if (getrandom(stream->open.token, sizeof(stream->open.token), 0) == (ssize_t)sizeof(stream->open.token) &&
        stream_start(stream) == 0)
        return 0;
    return no_memory(stream, &opening->error);
}

/* The connection has room for the stream, which is its from here on. */
static int hand_over(struct opening *opening, struct connection *connection, struct attnp_error *error)
{
    struct shard *shard = opening->shard;
    struct stream *stream = opening->stream;
    struct traffic *traffic = traffic_of(shard->shared->traffic, opening->model->name, shard->index);
    if (open_provide(connection, stream, error) != 0)
        return -1;
    if (traffic == NULL)
        return no_memory(stream, error);
    stream->open.is_opening = false;
    connection_hold(connection, &stream->held);
    idle_active(shard, stream, shard_now_us());
    stream_count_in(stream, traffic);
    counters_add(&shard->counters.opened, 1);
    open_answer(connection, &opening->asker, stream);
    return 0;
}

/* The last step: 0, the stream is open, or -1 and *error; or nobody is there to be told. Frees the opening. */
static int finish(struct opening *opening, int status, struct attnp_error *error)
{
    struct connection *connection = who_asked(opening);
    if (status == 0)
        status = connection != NULL ? hand_over(opening, connection, error) : -1;
    if (status != 0)
        unregister_stream(opening);
    free_opening(opening);
    return status;
}

/* The end of an opening whose connection waits. */
static void finish_away(struct opening *opening, int status, struct attnp_error *error)
{
    struct connection *connection = who_asked(opening);
    struct shard *shard = opening->shard;
    const struct asker asker = opening->asker;
    if (finish(opening, status, error) != 0 && connection != NULL)
        reply_error(shard, &asker, error);
    if (connection != NULL)
        connection_go_on(connection);
}

static void run_fill(struct away *away)
{
    struct opening *opening = (struct opening *)away;
    opening->has_failed = fill(opening) != 0;
}

static void filled(struct away *away)
{
    struct opening *opening = (struct opening *)away;
    struct attnp_error error = opening->error; /* which does not outlive the opening */
    finish_away(opening, opening->has_failed ? -1 : 0, &error);
}

static bool is_wanted(const struct away *away)
{
    return who_asked((const struct opening *)away) != NULL;
}

static const struct away_kind fill_kind = {is_wanted, run_fill, filled};

/* Makes the stream of a model that is known. 1: the block is filled away from here, and `filled` is called. */
static int make_stream(struct opening *opening, struct connection *connection, struct attnp_error *error)
{
    if (register_stream(opening, error) != 0)
        return -1;
    const struct stream *stream = opening->stream;
    if (stream_block_bytes(stream->plan, stream->kind, opening->credit) > AWAY_BYTES) {
        away_send(&opening->away, opening->shard, connection->share, &fill_kind);
        return 1;
    }
    int status = fill(opening);
    if (status != 0)
        *error = opening->error;
    return status;
}

static void run_make_attention(struct away *away)
{
    struct opening *opening = (struct opening *)away;
    struct plan *plan;
    opening->has_failed = true;
    if (plan_of_attention(&plan, &opening->request.attention, &opening->error) != 0)
        return;
    opening->model = model_new("", plan);
    if (opening->model == NULL) {
        plan_free(plan);
        attnp_fail(&opening->error, ATTNP_NO_MEMORY, "no memory for an attention; try again later");
        return;
    }
    costs_learn(opening->shard->shared->costs, opening->model, COSTS_ATTENTION_NS);
    opening->has_failed = false;
}

static void model_is_there(struct away *away)
{
    struct opening *opening = (struct opening *)away;
    struct connection *connection = who_asked(opening);
    struct attnp_error error = opening->error;
    int status = opening->has_failed || connection == NULL ? -1 : make_stream(opening, connection, &error);
    if (status <= 0)
        finish_away(opening, status, &error);
}

static const struct away_kind attention_kind = {is_wanted, run_make_attention, model_is_there};

static void run_nothing(struct away *away)
{
    ((struct opening *)away)->has_failed = false;
}

static const struct away_kind turn_kind = {is_wanted, run_nothing, model_is_there};

/* A large state takes its turn behind those of its user that are being given back: until then their memory is taken. */
static bool takes_turn(const struct opening *opening, const struct connection *connection)
{
    return !STAILQ_EMPTY(&connection->share->away) && plan_facts(opening->model->plan)->state_bytes > AWAY_BYTES;
}

int open_request(struct connection *connection, const struct asker *asker, const msgpack_object *params,
                 struct attnp_error *error)
{
    struct attnp_open request;
    if (attnp_open_read(&request, params, error) != 0 || check_number(connection, error) != 0 ||
        check_attention(connection, &request, error) != 0 || check_user(connection, &request, error) != 0)
        return -1;
    struct opening *opening = new_opening(connection, asker, &request);
    if (opening == NULL)
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for the request; try again later");
    if (request.has_attention) {
        connection_wait(connection);
        away_send(&opening->away, opening->shard, connection->share, &attention_kind);
        return 0;
    }
    int status = find_model(opening, error);
    if (status == 0 && takes_turn(opening, connection)) {
        connection_wait(connection);
        away_send(&opening->away, opening->shard, connection->share, &turn_kind);
        return 0;
    }
    if (status == 0)
        status = make_stream(opening, connection, error);
    if (status <= 0)
        return finish(opening, status, error);
    connection_wait(connection);
    return 0;
}
