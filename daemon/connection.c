/* SPDX-License-Identifier: MIT */
/*
 * Reading: bytes arrive in the shard's one buffer and whole messages are handled there, in place. Only an unfinished
 * message is kept, in a buffer of the connection that is made when first needed and grows as bytes really come, never
 * by what a length header claims (connection_buffers.c). What arrived and is not handled is thus never more than one
 * message, or one read.
 *
 * Turns: requests cost what they cost, and many fit one read. Their time is charged to the connection's user
 * (share.h); where the user has none left in this turn of the loop, nothing is read or handled for any of its
 * connections: they are paused, in the order in which they came, and go on when the user has time again. A connection
 * that sent TURN_BYTES is paused, too: libuv reads 32 times before it looks at another socket, and frames that nobody
 * wants cost their sender nothing either.
 *
 * Writing: messages are gathered and leave together after the loop's poll. Where more waits for a client than
 * limits.unsent_bytes, it is not read and its frames are not computed until it has read half of that: what it may send
 * is bounded by its credit, so nothing grows. A client that then reads nothing for timeouts.send_ms is ended
 * (slow_consumer).
 *
 * Ending: a connection ends, and frees its streams, only from here (read, flush, look), never below a function that
 * uses one; a message that cannot be kept therefore only marks its connection as failed.
 */
#include "daemon/connection.h"

#include <assert.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* One read: what it sent beyond that is still there in the next turn, which comes the sooner the less there is to do.
 */
#define TURN_BYTES SHARD_INPUT_BYTES

/* What one look at the connections may take; the others are looked at first the next time. */
#define LOOK_US 1000

/* So many paused connections of a user go on in one turn, if the user has time for as many. */
#define MOST_RESUMED 16

static uint64_t setting(const struct connection *connection, enum config_key key)
{
    return config_number(connection->shard->shared->config, key);
}

static void mark_dirty(struct connection *connection)
{
    if (!connection->is_dirty && connection->phase != CONNECTION_CLOSED)
        TAILQ_INSERT_TAIL(&connection->shard->connections.dirty, connection, dirty);
    connection->is_dirty = connection->phase != CONNECTION_CLOSED;
}

/* Above what can wait though the client did nothing wrong: a full outbox, a batch behind it, the answers to some
 * requests, and all kept answers of a stream whose frames it sends again, 1 MiB by the rule for credit, or two
 * messages. */
static size_t most_unsent(const struct connection *connection)
{
    return 4 * setting(connection, CONFIG_limits_unsent_bytes) + 8 * setting(connection, CONFIG_limits_message_bytes) +
           ATTNP_MAX_MESSAGE;
}

/* The connection cannot be ended here: the caller may be using one of its streams. */
static void fail(struct connection *connection, const struct attnp_error *why)
{
    if (!connection->has_failed)
        connection->failure = malloc(sizeof(*connection->failure));
    if (!connection->has_failed && connection->failure != NULL)
        *connection->failure = *why;
    connection->has_failed = true;
    mark_dirty(connection);
}

uint8_t *connection_add(struct connection *connection, size_t n_bytes)
{
    struct attnp_error error;
    size_t unsent = outbox_bytes(&connection->outbox);
    uint8_t *place = NULL;
    assert(shard_is_own_thread(connection->shard));
    if (connection->has_failed || connection->phase != CONNECTION_OPEN)
        return NULL;
    if (unsent + n_bytes > most_unsent(connection) && !connection->is_ending)
        attnp_fail(&error, ATTNP_SLOW_CONSUMER,
                   "%zu bytes wait for this client to read; read outputs while pushing, or open fewer streams a "
                   "connection",
                   unsent);
    else
        place = connection_grow_outbox(connection, n_bytes, &error);
    if (place == NULL)
        fail(connection, &error);
    connection->uses_outbox = true;
    mark_dirty(connection);
    return place;
}

void connection_added(struct connection *connection, size_t n_bytes)
{
    outbox_added(&connection->outbox, n_bytes);
    counters_add(&connection->shard->counters.bytes_out, n_bytes);
}

void connection_send_bytes(struct connection *connection, const uint8_t *bytes, size_t n_bytes)
{
    if (bytes == NULL) {
        struct attnp_error error;
        attnp_fail(&error, ATTNP_NO_MEMORY, "no memory for a message; try again later");
        fail(connection, &error);
        return;
    }
    uint8_t *place = connection_add(connection, n_bytes);
    if (place != NULL) {
        memcpy(place, bytes, n_bytes);
        connection_added(connection, n_bytes);
    }
}

void connection_send(struct connection *connection)
{
    const uint8_t *bytes;
    size_t n_bytes = 0;
    int status =
        attnp_write_end(&connection->shard->writer, setting(connection, CONFIG_limits_message_bytes), &bytes, &n_bytes);
    connection_send_bytes(connection, status == 0 ? bytes : NULL, n_bytes);
}

bool connection_is_full(const struct connection *connection)
{
    return outbox_bytes(&connection->outbox) >= setting(connection, CONFIG_limits_unsent_bytes);
}

static void closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct shard *shard = connection->shard;
    uid_t uid = connection->uid;
    connection_free_outbox(connection);
    connection_free_partial(connection);
    free(connection->failure);
    free(connection->streams);
    free(connection);
    shard_connection_gone(shard, uid);
}

static void unpause(struct connection *connection)
{
    TAILQ_REMOVE(&connection->share->paused, connection, paused);
    connection->shard->connections.n_paused--;
    connection->is_paused = false;
}

/* What becomes of its streams takes time, which is charged like a request's. */
static void tell_end(struct connection *connection, const struct attnp_error *why, bool is_told)
{
    uint64_t begun_ns = uv_hrtime();
    connection->shard->connections.handler->ended(connection, why, is_told);
    share_charge(connection->share, uv_hrtime() - begun_ns);
}

static void close_now(struct connection *connection)
{
    if (connection->is_dirty)
        TAILQ_REMOVE(&connection->shard->connections.dirty, connection, dirty);
    if (connection->is_paused)
        unpause(connection);
    connection->is_dirty = false;
    assert(connection->n_streams == 0); /* the handler has given them up */
    connection->phase = CONNECTION_CLOSED;
    TAILQ_REMOVE(&connection->shard->connections.all, connection, all);
    LIST_REMOVE(connection, by_id);
    counters_add(&connection->shard->counters.connections, (uint64_t)-1);
    share_leave(connection->share);
    uv_close((uv_handle_t *)&connection->pipe, closed);
}

void connection_break(struct connection *connection)
{
    if (connection->phase == CONNECTION_OPEN)
        tell_end(connection, NULL, false);
    if (connection->phase != CONNECTION_CLOSED)
        close_now(connection);
}

static void start_reading(struct connection *connection);

/* The memory of its messages is not held against its user's limits any more: the client is owed the reason. */
static void end(struct connection *connection, const struct attnp_error *why, bool is_told)
{
    if (connection->phase != CONNECTION_OPEN)
        return;
    connection->has_failed = false;
    connection->is_ending = true;
    tell_end(connection, why, is_told);
    assert(connection->n_streams == 0);
    attnp_session_end(&connection->session);
    connection->phase = CONNECTION_ENDING;
    connection->since_us = shard_now_us();
    mark_dirty(connection);
    connection_free_partial(connection);
    if (!connection->is_finishing)
        start_reading(
            connection); /* what still comes is discarded: a close with bytes unread would look like a reset */
}

void connection_end(struct connection *connection, const struct attnp_error *why)
{
    end(connection, why, why == NULL);
}

static void stop_reading(struct connection *connection)
{
    if (connection->is_reading)
        uv_read_stop((uv_stream_t *)&connection->pipe);
    connection->is_reading = false;
}

/* Behind those of its user that came before it: they are in the order of their places. Where its place is new, that is
 * the end; those that keep theirs are no more than MOST_RESUMED, and have only each other before them. */
static void insert_paused(struct connection *connection)
{
    struct connections *paused = &connection->share->paused;
    struct connection *next = TAILQ_FIRST(paused), *last = TAILQ_LAST(paused, connections);
    if (last == NULL || last->place < connection->place) {
        TAILQ_INSERT_TAIL(paused, connection, paused);
        return;
    }
    while (next->place < connection->place)
        next = TAILQ_NEXT(next, paused);
    TAILQ_INSERT_BEFORE(next, connection, paused);
}

/* Until a later turn. One that was resumed in vain in this turn keeps its place before the others. */
static void pause_turn(struct connection *connection)
{
    struct shard_connections *connections = &connection->shard->connections;
    if (connection->is_paused)
        return;
    if (connection->resumed == 0 || connection->resumed != connections->n_turns)
        connection->place = ++connections->n_places;
    insert_paused(connection);
    connection->is_paused = true;
    connections->n_paused++;
    shard_stay_busy(connection->shard);
}

/* One message, or the preface. Returns its bytes; 0 where it is not whole yet, or the connection ends. */
static size_t consume_one(struct connection *connection, const uint8_t *bytes, size_t n_bytes)
{
    struct attnp_error error;
    struct attnp_preface preface;
    const uint8_t *body;
    size_t n_body;
    if (connection->session.state == ATTNP_AWAIT_PREFACE) {
        int n = attnp_preface_read(&preface, bytes, n_bytes, &error);
        if (n > 0)
            attnp_session_preface(&connection->session);
        else if (n < 0)
            connection_end(connection, &error);
        return n > 0 ? (size_t)n : 0;
    }
    int whole =
        attnp_message_find(bytes, n_bytes, setting(connection, CONFIG_limits_message_bytes), &body, &n_body, &error);
    if (whole == 0)
        return 0;
    enum connection_next next =
        whole > 0 ? connection->shard->connections.handler->message(connection, body, n_body, &error) : CONNECTION_ENDS;
    if (next == CONNECTION_ENDS || next == CONNECTION_ENDS_TOLD) {
        end(connection, &error, next == CONNECTION_ENDS_TOLD);
        return 0;
    }
    return ATTNP_LENGTH_BYTES + n_body;
}

/* Handles whole messages, as far as the user has time; returns how many bytes of n_bytes are done with. */
static size_t consume(struct connection *connection, const uint8_t *bytes, size_t n_bytes)
{
    size_t n_done = 0, n = 1;
    uint64_t begun_ns = uv_hrtime();
    while (connection->phase == CONNECTION_OPEN && !connection->is_paused && !connection->is_waiting && n > 0 &&
           n_done < n_bytes) {
        if (connection_is_full(connection)) {
            connection->is_held = true;
            break;
        }
        n = consume_one(connection, bytes + n_done, n_bytes - n_done);
        n_done += n;
        connection->resumed = 0;
        uint64_t now_ns = uv_hrtime();
        share_charge(connection->share, now_ns - begun_ns);
        begun_ns = now_ns;
        if (n > 0 && n_done < n_bytes && !connection->is_waiting && !share_has_time(connection->share))
            pause_turn(connection);
    }
    return connection->phase == CONNECTION_OPEN ? n_done : n_bytes;
}

static void offer_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    struct attnp_error error;
    (void)suggested;
    if (connection->phase == CONNECTION_OPEN && !share_has_time(connection->share))
        *buffer = uv_buf_init(NULL, 0); /* libuv then reads nothing, and reports UV_ENOBUFS */
    else if (connection->phase != CONNECTION_OPEN || connection->n_partial == 0)
        *buffer = uv_buf_init((char *)connection->shard->connections.input, SHARD_INPUT_BYTES);
    else if (connection_grow_partial(connection, connection->n_partial + 1, &error) == 0)
        *buffer = uv_buf_init((char *)connection->partial + connection->n_partial,
                              (unsigned)(connection->partial_room - connection->n_partial));
    else {
        fail(connection, &error);
        *buffer = uv_buf_init(NULL, 0);
    }
}

/* Keeps the bytes from `rest` on, which are in the shard's buffer or in the connection's own. */
static void keep_rest(struct connection *connection, const uint8_t *rest, size_t n_rest)
{
    struct attnp_error error;
    if (n_rest > 0 && connection_grow_partial(connection, n_rest, &error) != 0) {
        fail(connection, &error);
        n_rest = 0;
    }
    if (n_rest > 0) {
        memmove(connection->partial, rest, n_rest);
        connection->uses_partial = true;
    }
    connection->n_partial = n_rest;
}

static void handle_bytes(struct connection *connection, const uint8_t *bytes, size_t n_bytes)
{
    size_t n_done = consume(connection, bytes, n_bytes);
    if (connection->phase == CONNECTION_OPEN)
        keep_rest(connection, bytes + n_done, n_bytes - n_done);
    if (connection->phase == CONNECTION_OPEN &&
        (connection->is_held || connection->is_paused || connection->is_waiting))
        stop_reading(connection);
}

void connection_asked(struct connection *connection)
{
    connection->n_unanswered++;
}

void connection_answered(struct connection *connection)
{
    assert(connection->n_unanswered > 0);
    connection->n_unanswered--;
}

static bool is_settled(const struct connection *connection)
{
    return connection->n_unanswered == 0 && outbox_bytes(&connection->outbox) == 0 &&
           connection->shard->connections.handler->is_settled(connection);
}

/* A client that only shut down its writing half has the answers to what it sent before; one that closed its socket is
 * noticed by the first of them. */
static void end_input(struct connection *connection, bool is_orderly)
{
    bool is_owed = connection->phase == CONNECTION_ENDING || !is_settled(connection);
    if (!is_orderly || !is_owed) {
        connection_break(connection);
        return;
    }
    connection->is_finishing = true;
    stop_reading(connection);
    mark_dirty(connection);
}

/* Charged to the user: of thousands of connections that end together no more do so in one turn than there is time for.
 */
static void end_of_input(struct connection *connection, bool is_orderly)
{
    struct share *share = share_use(connection->share);
    uint64_t begun_ns = uv_hrtime();
    end_input(connection, is_orderly);
    share_charge(share, uv_hrtime() - begun_ns);
    share_leave(share);
}

static void bytes_came(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    if (n_read == 0)
        return;
    if (n_read == UV_ENOBUFS) { /* its user has no time, or there is no memory, and it ends at the next flush */
        stop_reading(connection);
        if (!connection->has_failed)
            pause_turn(connection);
        return;
    }
    connection->resumed = 0;
    if (n_read < 0) {
        end_of_input(connection, n_read == UV_EOF);
        return;
    }
    counters_add(&connection->shard->counters.bytes_in, (uint64_t)n_read);
    if (connection->phase != CONNECTION_OPEN)
        return;
    if (connection->turn != connection->shard->connections.n_turns)
        connection->turn_bytes = 0;
    connection->turn = connection->shard->connections.n_turns;
    connection->turn_bytes += (size_t)n_read;
    if (connection->n_partial == 0)
        handle_bytes(connection, (const uint8_t *)buffer->base, (size_t)n_read);
    else
        handle_bytes(connection, connection->partial, connection->n_partial + (size_t)n_read);
    if (connection->phase == CONNECTION_OPEN && connection->turn_bytes >= TURN_BYTES) {
        pause_turn(connection);
        stop_reading(connection);
    }
}

static void start_reading(struct connection *connection)
{
    if (!connection->is_reading)
        uv_read_start((uv_stream_t *)&connection->pipe, offer_buffer, bytes_came);
    connection->is_reading = true;
}

void connection_hold_back(struct connection *connection)
{
    assert(connection_is_full(connection)); /* else nothing would tell that it has read */
    connection->is_held = true;
    stop_reading(connection);
}

void connection_wait(struct connection *connection)
{
    connection->is_waiting = true;
}

/* With its messages in the next turn: this may be any moment of one. */
void connection_go_on(struct connection *connection)
{
    connection->is_waiting = false;
    if (connection->phase == CONNECTION_OPEN)
        pause_turn(connection);
}

void connection_drain(struct connection *connection)
{
    connection->is_drained = true;
    stop_reading(connection);
}

/* What had arrived is handled, then more is read. */
static void go_on(struct connection *connection)
{
    if (connection->is_drained || connection->is_finishing || connection->is_paused || connection->is_waiting)
        return;
    if (connection->n_partial > 0)
        handle_bytes(connection, connection->partial, connection->n_partial);
    if (connection->phase == CONNECTION_OPEN && !connection->is_held && !connection->is_paused &&
        !connection->is_waiting)
        start_reading(connection);
}

/* The paused connections of one user go on, in order. What was read already is handled now; what is to be read is read
 * in the poll that follows, so that nothing behind it may take the user's time before. */
static void resume(struct share *share)
{
    struct connection *connection;
    bool will_read = false;
    for (int i = 0; i < MOST_RESUMED && share_has_time(share); i++) {
        connection = TAILQ_FIRST(&share->paused);
        if (connection == NULL || (will_read && connection->n_partial > 0))
            return;
        will_read = connection->n_partial == 0;
        unpause(connection);
        connection->resumed = connection->shard->connections.n_turns;
        if (connection->phase == CONNECTION_OPEN && !connection->is_held)
            go_on(connection);
    }
}

void connection_begin_turn(struct shard *shard)
{
    struct share *share, *next;
    shard->connections.n_turns++;
    share_begin_turn(shard);
    for (share = share_first(shard); share != NULL; share = next) { /* users may come to an end meanwhile */
        resume(share);
        next = share_next(share);
        share_leave(share);
    }
    shard_stay_busy(shard);
}

/* What was held back goes on: first messages, then frames. */
static void relieve(struct connection *connection)
{
    if (!connection->is_held || connection->phase != CONNECTION_OPEN || connection->has_failed ||
        outbox_bytes(&connection->outbox) > setting(connection, CONFIG_limits_unsent_bytes) / 2)
        return;
    connection->is_held = false;
    if (share_has_time(connection->share))
        go_on(connection);
    else
        pause_turn(connection);
    if (connection->phase == CONNECTION_OPEN)
        connection->shard->connections.handler->relieved(connection);
}

static void flush(struct connection *connection)
{
    if (connection->has_failed) {
        struct attnp_error error;
        attnp_fail(&error, ATTNP_NO_MEMORY, "no memory for a message; try again later");
        connection_end(connection, connection->failure != NULL ? connection->failure : &error);
    }
    if (outbox_flush(&connection->outbox) != 0) {
        connection_break(connection);
        return;
    }
    if (connection->phase == CONNECTION_ENDING && outbox_bytes(&connection->outbox) == 0)
        close_now(connection);
    else if (connection->is_finishing && connection->phase == CONNECTION_OPEN && is_settled(connection))
        connection_break(connection);
    else
        relieve(connection);
}

void connection_flush_all(struct shard *shard)
{
    while (!TAILQ_EMPTY(&shard->connections.dirty)) {
        struct connection *connection = TAILQ_FIRST(&shard->connections.dirty);
        TAILQ_REMOVE(&shard->connections.dirty, connection, dirty);
        connection->is_dirty = false;
        flush(connection);
    }
}

static void write_ended(struct outbox *outbox, int status)
{
    struct connection *connection = outbox->to->data;
    if (connection->phase == CONNECTION_CLOSED)
        return;
    if (status != 0)
        connection_break(connection);
    else
        mark_dirty(connection);
}

/* Whether the client has read since the last look, or nothing waits for it. What the kernel takes is not enough to go
 * by: it takes more only when most of its buffer was read. Nor is what waits here, which grows where a client reads a
 * little less than comes. */
static bool has_read(struct connection *connection)
{
    uint64_t sent = outbox_sent(&connection->outbox);
    int fd, queued = 0;
    if (outbox_bytes(&connection->outbox) > 0 && uv_fileno((uv_handle_t *)&connection->pipe, &fd) == 0)
        (void)ioctl(fd, SIOCOUTQ, &queued);
    bool read = sent != connection->sent_seen || queued < connection->queued_seen;
    connection->sent_seen = sent;
    connection->queued_seen = queued;
    return read || outbox_bytes(&connection->outbox) == 0;
}

static void look(struct connection *connection, uint64_t now_us)
{
    struct attnp_error error;
    size_t unsent = outbox_bytes(&connection->outbox);
    uint64_t send_ms = setting(connection, CONFIG_timeouts_send_ms),
             hello_ms = setting(connection, CONFIG_timeouts_hello_ms);
    if (has_read(connection))
        connection->progress_us = now_us;
    connection_free_idle(connection, now_us);
    if (connection->is_finishing)
        mark_dirty(connection); /* a frame may have been settled without a word */
    if (connection->phase == CONNECTION_ENDING && now_us - connection->since_us > send_ms * 1000) {
        connection_break(connection);
    } else if (connection->phase == CONNECTION_OPEN && now_us - connection->progress_us > send_ms * 1000) {
        attnp_fail(&error, ATTNP_SLOW_CONSUMER,
                   "%zu bytes wait and nothing was read for %ju ms; read outputs while pushing", unsent,
                   (uintmax_t)send_ms);
        connection_end(connection, &error);
    } else if (connection->phase == CONNECTION_OPEN && connection->session.state != ATTNP_READY &&
               !connection->is_paused && now_us - connection->since_us > hello_ms * 1000) {
        attnp_fail(&error, ATTNP_BAD_ORDER, "no hello came within %ju ms; send the preface and hello first",
                   (uintmax_t)hello_ms);
        connection_end(connection, &error);
    }
}

void connection_look_all(struct shard *shard, uint64_t now_us)
{
    struct connections *all = &shard->connections.all;
    const struct connection *last = TAILQ_LAST(all, connections);
    struct connection *connection = NULL;
    uint64_t until_us = now_us + LOOK_US;
    while (connection != last && !TAILQ_EMPTY(all) && shard_now_us() < until_us) {
        connection = TAILQ_FIRST(all);
        TAILQ_REMOVE(all, connection, all);
        TAILQ_INSERT_TAIL(all, connection, all);
        look(connection, now_us); /* which may have ended it: only its address is compared from here on */
    }
}

int connection_start(struct shard *shard, const struct connection_handler *handler)
{
    struct shard_connections *connections = &shard->connections;
    connections->handler = handler;
    TAILQ_INIT(&connections->all);
    TAILQ_INIT(&connections->dirty);
    connections->input = malloc(SHARD_INPUT_BYTES);
    return connections->input != NULL ? 0 : -1;
}

void connection_stop(struct shard *shard)
{
    assert(TAILQ_EMPTY(&shard->connections.all));
    free(shard->connections.input);
}

struct connection *connection_new(struct shard *shard, uint64_t id, uid_t uid, pid_t pid)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    struct share *share = connection != NULL ? share_join(shard, uid) : NULL;
    if (share == NULL) {
        free(connection);
        return NULL;
    }
    connection->share = share;
    connection->shard = shard;
    connection->id = id;
    connection->uid = uid;
    connection->pid = pid;
    connection->since_us = connection->progress_us = connection->partial_us = connection->outbox_us = shard_now_us();
    attnp_session_init(&connection->session);
    uv_pipe_init(&shard->loop, &connection->pipe, 0);
    connection->pipe.data = connection;
    outbox_init(&connection->outbox, (uv_stream_t *)&connection->pipe, write_ended);
    TAILQ_INSERT_TAIL(&shard->connections.all, connection, all);
    LIST_INSERT_HEAD(&shard->connections.by_id[id % SHARD_BUCKETS], connection, by_id);
    counters_add(&shard->counters.connections, 1);
    return connection;
}

int connection_open(struct shard *shard, int fd, uint64_t id, uid_t uid, pid_t pid)
{
    struct connection *connection = connection_new(shard, id, uid, pid);
    if (connection == NULL) {
        close(fd);
        return -1;
    }
    if (uv_pipe_open(&connection->pipe, fd) != 0) {
        close(fd);
        connection_break(connection);
        return 0;
    }
    start_reading(connection);
    return 0;
}

struct connection *connection_find(const struct shard *shard, uint64_t id)
{
    struct connection *connection;
    LIST_FOREACH(connection, &shard->connections.by_id[id % SHARD_BUCKETS], by_id)
    if (connection->id == id)
        return connection;
    return NULL;
}

bool connection_is_operator(const struct connection *connection)
{
    return connection->uid == 0 || connection->uid == connection->shard->shared->uid;
}
