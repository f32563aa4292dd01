/* SPDX-License-Identifier: MIT */
#include "tests/unit/daemon/holder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/admission.h"
#include "daemon/answers.h"
#include "daemon/batch.h"
#include "daemon/costs.h"
#include "daemon/deadline.h"
#include "daemon/expiry.h"
#include "daemon/idle.h"
#include "daemon/loop.h"
#include "daemon/models.h"
#include "daemon/open.h"
#include "daemon/pending.h"
#include "daemon/requests.h"
#include "daemon/users.h"

#define MEMORY_BYTES  ((uint64_t)1 << 30)
#define FRAME_FLOATS  3
#define WINDOW        3
#define LARGE_WINDOW  (1 << 18)
#define MOST_TOGETHER 64

/* Operators are root and this user. */
#define DAEMON_UID 999

struct config holder_config;
struct shared holder_shared;
struct shard holder_shards[HOLDER_SHARDS];

static struct models models;
static struct attnp_writer writer;
static struct heard heard;
static uint64_t last_connection;

void holder_configure(enum config_key key, const char *value)
{
    char why[ATTNP_ERROR_TEXT + 1];
    ck_assert_msg(config_set(&holder_config, key, value, "test", why) == 0, "%s", why);
}

static void give_way(const void *shared)
{
    shard_give_way(shared);
}

void holder_set_up(void)
{
    config_init(&holder_config);
    holder_configure(CONFIG_limits_frame_ms, "60000"); /* machines and builds may be slow */
    models = (struct models){.mutex = PTHREAD_MUTEX_INITIALIZER};
    holder_shared = (struct shared){
        .config = &holder_config,
        .models = &models,
        .costs = costs_new(NULL),
        .users = users_new(&holder_config, DAEMON_UID, MEMORY_BYTES),
        .traffic = traffic_book_new(HOLDER_SHARDS),
        .workers = workers_new(2, give_way, &holder_shared),
        .shards = holder_shards,
        .n_shards = HOLDER_SHARDS,
        .uid = DAEMON_UID,
        .started_us = shard_now_us(),
    };
    ck_assert(holder_shared.costs != NULL && holder_shared.users != NULL && holder_shared.traffic != NULL);
    ck_assert_ptr_nonnull(holder_shared.workers);
    holder_shared.registry = registry_new(holder_shared.users);
    ck_assert_ptr_nonnull(holder_shared.registry);
    memset(holder_shards, 0, sizeof(holder_shards));
    for (unsigned i = 0; i < HOLDER_SHARDS; i++)
        ck_assert_int_eq(loop_init(&holder_shards[i], &holder_shared, i), 0);
    attnp_writer_init(&writer);
    last_connection = 0;
}

static void end_all(struct shard *shard)
{
    shard->turn.is_draining = true; /* the streams of a connection end with it */
    while (!TAILQ_EMPTY(&shard->connections.all))
        connection_break(TAILQ_FIRST(&shard->connections.all));
    expiry_end_parked(shard, "draining");
}

static void look_for_leftovers(void)
{
    for (int what = 0; what < N_USERS_WHAT; what++)
        ck_assert_msg(users_total(holder_shared.users, what) == 0, "%ju of users.h's %d were not given back",
                      (uintmax_t)users_total(holder_shared.users, what), what);
    for (unsigned i = 0; i < HOLDER_SHARDS; i++) {
        ck_assert_uint_eq(traffic_streams(holder_shared.traffic, i), 0);
        ck_assert_uint_eq(counters_get(&holder_shards[i].counters.parked), 0);
        ck_assert_uint_eq(counters_get(&holder_shards[i].counters.connections), 0);
    }
}

void holder_tear_down(void)
{
    for (unsigned i = 0; i < HOLDER_SHARDS; i++)
        end_all(&holder_shards[i]);
    for (unsigned i = 0; i < HOLDER_SHARDS; i++)
        loop_done(&holder_shards[i]);
    workers_free(holder_shared.workers);
    look_for_leftovers();
    heard_done(&heard);
    attnp_writer_done(&writer);
    models_free(&models);
    registry_free(holder_shared.registry);
    traffic_book_free(holder_shared.traffic);
    costs_free(holder_shared.costs);
    users_free(holder_shared.users);
}

static void expect_connection(unsigned shard, uid_t uid)
{
    struct attnp_error error;
    ck_assert_int_eq(users_charge(holder_shared.users, uid, USERS_CONNECTIONS, 1, &error), 0);
    shard_connection_given(&holder_shards[shard]);
}

static struct connection *greeted(struct connection *connection)
{
    struct attnp_error error;
    ck_assert_ptr_nonnull(connection);
    attnp_session_preface(&connection->session);
    ck_assert_int_eq(attnp_session_accept(&connection->session, ATTNP_REQUEST, ATTNP_M_HELLO, "hello", &error), 0);
    return connection;
}

struct connection *holder_new(unsigned shard, uid_t uid)
{
    expect_connection(shard, uid);
    return greeted(connection_new(&holder_shards[shard], ++last_connection, uid, 1));
}

struct connection *holder_plug(unsigned shard, uid_t uid, int *fd)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    expect_connection(shard, uid);
    ck_assert_int_eq(connection_open(&holder_shards[shard], fds[0], ++last_connection, uid, 1), 0);
    *fd = fds[1];
    return greeted(connection_find(&holder_shards[shard], last_connection));
}

static struct model *new_model(const char *name, uint32_t window)
{
    const struct attnp_attention attention = {
        .method = ATTNP_METHOD_EXACT, .window = window, .heads = 1, .head_dim = 1};
    struct attnp_error error;
    struct plan *plan;
    ck_assert_int_eq(plan_of_attention(&plan, &attention, &error), 0);
    struct model *model = model_new(name, plan);
    ck_assert_ptr_nonnull(model);
    return model;
}

static struct model *add_model(const char *name, uint32_t window)
{
    struct model *model = new_model(name, window);
    struct catalogue_entry *entry = &models.catalogue.entries[models.catalogue.n++];
    *entry = (struct catalogue_entry){.model = model, .path = strdup(name)};
    return model;
}

struct model *holder_model(const char *name)
{
    return add_model(name, WINDOW);
}

struct model *holder_large_model(const char *name)
{
    return add_model(name, LARGE_WINDOW);
}

static void fill_card(struct card *card, const struct connection *holder, const struct model *model,
                      const struct holder_terms *terms)
{
    strcpy(card->model, model->name);
    strcpy(card->name, terms->name != NULL ? terms->name : "");
    card->uid = holder->uid;
    card->opened_us = shard_now_us();
    card->terms = (struct card_terms){terms->rate, terms->deadline_ms, terms->late};
}

/* A token that a test can tell. */
static void make_token(struct stream *stream)
{
    memset(stream->open.token, (int)stream->card.number, sizeof(stream->open.token));
}

struct stream *holder_open(struct connection *holder, struct holder_terms terms)
{
    struct attnp_error error;
    struct shard *shard = holder->shard;
    struct model *model = terms.model != NULL ? model_use(terms.model) : new_model("", WINDOW);
    const struct stream_shape shape = {model, ATTNP_OUTPUT_SCORES, terms.credit != 0 ? terms.credit : 4,
                                       terms.first_frame, terms.position};
    struct stream *stream = stream_new(&shape);
    ck_assert_ptr_nonnull(stream);
    fill_card(&stream->card, holder, model, &terms);
    ck_assert_int_eq(registry_add(holder_shared.registry, &stream->card, shard->index, holder->id, &error), 0);
    const struct admission_wish wish = {holder->uid, model, terms.rate, terms.deadline_ms};
    ck_assert_int_eq(admission_enter(shard, &stream->claim, &wish, &error), 0);
    connection_held_init(&stream->held, stream->card.number, stream->card.credit * stream->frame_bytes,
                         stream->card.credit * answers_bytes(stream->output_bytes));
    ck_assert_int_eq(open_provide(holder, stream, &error), 0);
    ck_assert_int_eq(stream_start(stream), 0);
    make_token(stream);
    pending_init(stream);
    deadline_start(stream, terms.deadline_ms, terms.late, terms.answer_from);
    connection_hold(holder, &stream->held);
    idle_active(shard, stream, shard_now_us());
    stream_count_in(stream, traffic_of(holder_shared.traffic, model->name, shard->index));
    counters_add(&shard->counters.opened, 1);
    model_release(model);
    return stream;
}

enum connection_next holder_say(struct connection *holder, const uint8_t *bytes, size_t n_bytes)
{
    struct attnp_error error;
    const uint8_t *body;
    size_t n_body;
    ck_assert_int_eq(attnp_message_find(bytes, n_bytes, ATTNP_MAX_MESSAGE, &body, &n_body, &error), 1);
    return holder->shard->connections.handler->message(holder, body, n_body, &error);
}

void holder_push_values(struct connection *holder, const struct stream *stream, uint64_t first, const float *values,
                        size_t n)
{
    float frames[MOST_TOGETHER][FRAME_FLOATS] = {{0}};
    ck_assert_uint_le(n, MOST_TOGETHER);
    for (size_t i = 0; i < n; i++)
        frames[i][FRAME_FLOATS - 1] = values[i];
    const struct attnp_push push = {.stream = stream->card.number,
                                    .first = first,
                                    .frames = (const uint8_t *)frames,
                                    .n_bytes = n * sizeof(frames[0])};
    uint8_t bytes[sizeof(frames) + 64];
    ck_assert_uint_le(attnp_push_bytes(&push), sizeof(bytes));
    ck_assert_int_eq(holder_say(holder, bytes, attnp_push_write(bytes, &push)), CONNECTION_GOES_ON);
}

void holder_push(struct connection *holder, const struct stream *stream, uint64_t first, size_t n)
{
    float values[MOST_TOGETHER];
    ck_assert_uint_le(n, MOST_TOGETHER);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(first + i);
    holder_push_values(holder, stream, first, values, n);
}

struct attnp_writer *holder_ask(uint32_t id, enum attnp_method method)
{
    attnp_write_request(&writer, id, method);
    return &writer;
}

void holder_asked(struct connection *holder)
{
    const uint8_t *bytes;
    size_t n_bytes;
    ck_assert_int_eq(attnp_write_end(&writer, ATTNP_MAX_MESSAGE, &bytes, &n_bytes), 0);
    ck_assert_int_eq(holder_say(holder, bytes, n_bytes), CONNECTION_GOES_ON);
}

void holder_ask_about(struct connection *holder, uint32_t id, enum attnp_method method, const struct stream *stream)
{
    attnp_write_map(holder_ask(id, method), 1);
    attnp_put_uint(&writer, "stream", stream->card.number);
    holder_asked(holder);
}

void holder_age(struct stream *stream, uint64_t us)
{
    for (uint64_t number = stream->sequence.settled; number < stream->sequence.next; number++)
        stream->waiting[number % stream->card.credit].arrived_us -= us;
}

void holder_arrive(struct stream *stream, uint64_t number, uint64_t us)
{
    ck_assert(number >= stream->sequence.settled && number < stream->sequence.next);
    stream->waiting[number % stream->card.credit].arrived_us = us;
}

void holder_turn(unsigned shard)
{
    connection_begin_turn(&holder_shards[shard]);
    batch_run(&holder_shards[shard]);
    do
        pending_run_due(&holder_shards[shard]); /* which may stop after a while */
    while (!TAILQ_EMPTY(&holder_shards[shard].due.streams));
}

void holder_poll(unsigned shard)
{
    uv_run(&holder_shards[shard].loop, UV_RUN_NOWAIT);
    while (!STAILQ_EMPTY(&holder_shards[shard].turn.mails))
        loop_open_mails(&holder_shards[shard]);
    holder_turn(shard);
    connection_flush_all(&holder_shards[shard]);
}

void holder_run_dry(unsigned shard)
{
    while (holder_is_busy(shard))
        holder_turn(shard);
}

bool holder_is_busy(unsigned shard)
{
    return uv_is_active((uv_handle_t *)&holder_shards[shard].busy);
}

struct traffic_sum holder_traffic(const char *model)
{
    struct traffic_sum sum = {.frames = 0};
    int index = traffic_find(holder_shared.traffic, model);
    for (unsigned i = 0; index >= 0 && i < HOLDER_SHARDS; i++)
        traffic_add(holder_shared.traffic, (size_t)index, i, &sum);
    return sum;
}

void holder_open_mail(unsigned shard)
{
    uv_run(&holder_shards[shard].loop, UV_RUN_NOWAIT);
    while (!STAILQ_EMPTY(&holder_shards[shard].turn.mails))
        loop_open_mails(&holder_shards[shard]);
}

void holder_take_mail(unsigned shard)
{
    struct mails mails;
    struct lost lost;
    mailbox_take(&holder_shards[shard].mailbox, &mails, &lost);
    requests_lost(&holder_shards[shard], &lost);
    STAILQ_CONCAT(&holder_shards[shard].turn.mails, &mails);
    while (!STAILQ_EMPTY(&holder_shards[shard].turn.mails))
        loop_open_mails(&holder_shards[shard]);
}

void (*holder_on_wait)(bool begins);

void holder_wait(struct connection *holder)
{
    if (holder_on_wait != NULL)
        holder_on_wait(true);
    while (holder->is_waiting)
        uv_run(&holder->shard->loop, UV_RUN_ONCE);
    if (holder_on_wait != NULL)
        holder_on_wait(false);
    connection_begin_turn(holder->shard);
}

static bool has_work_away(const struct shard *shard)
{
    const struct share *share;
    LIST_FOREACH(share, &shard->shares.all, link)
    if (!STAILQ_EMPTY(&share->away))
        return true;
    return !STAILQ_EMPTY(&shard->shares.parked->away);
}

void holder_wait_away(unsigned shard)
{
    if (holder_on_wait != NULL)
        holder_on_wait(true);
    while (has_work_away(&holder_shards[shard]))
        uv_run(&holder_shards[shard].loop, UV_RUN_ONCE);
    if (holder_on_wait != NULL)
        holder_on_wait(false);
}

void holder_run_all(unsigned shard)
{
    do {
        holder_run_dry(shard);
        holder_wait_away(shard);
    } while (holder_is_busy(shard));
}

const char *holder_heard(struct connection *holder)
{
    heard_done(&heard);
    ck_assert(!holder->outbox.is_flying);
    heard_read(&heard, holder->outbox.filling, holder->outbox.n_filling);
    holder->outbox.n_filling = 0;
    return heard.text;
}

const struct heard *holder_messages(void)
{
    return &heard;
}

void holder_relieve(struct connection *holder)
{
    ck_assert_uint_eq(outbox_bytes(&holder->outbox), 0);
    if (holder->is_held)
        holder->shard->connections.handler->relieved(holder);
    holder->is_held = false;
}

static void expect_empty(const struct shard *shard)
{
    ck_assert(TAILQ_EMPTY(&shard->batch.users) && TAILQ_EMPTY(&shard->due.streams));
    ck_assert(TAILQ_EMPTY(&shard->idle.active) && TAILQ_EMPTY(&shard->idle.warned) && TAILQ_EMPTY(&shard->idle.parked));
    ck_assert(LIST_EMPTY(&shard->ledger.loads));
    ck_assert_uint_eq(shard->batch.n_ready, 0);
    ck_assert_uint_eq(counters_get(&shard->ledger.claimed_ns), 0);
    ck_assert_uint_eq(counters_get(&shard->counters.parked), 0);
    ck_assert_uint_eq(traffic_streams(holder_shared.traffic, shard->index), 0);
}

void holder_expect_no_stream(void)
{
    static const enum users_what of_streams[] = {USERS_STREAMS, USERS_STATE_BYTES, USERS_WAITING_REQUESTS};
    struct card_view view;
    bool more;
    ck_assert_uint_eq(registry_list(holder_shared.registry, 0, 0, true, &view, 1, &more), 0);
    for (size_t i = 0; i < sizeof(of_streams) / sizeof(of_streams[0]); i++)
        ck_assert_uint_eq(users_total(holder_shared.users, of_streams[i]), 0);
    for (unsigned i = 0; i < HOLDER_SHARDS; i++)
        expect_empty(&holder_shards[i]);
    for (size_t i = 0; i < models.catalogue.n; i++)
        ck_assert_uint_eq(atomic_load(&models.catalogue.entries[i].model->n_users), 1);
}
