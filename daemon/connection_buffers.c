/* SPDX-License-Identifier: MIT */
/*
 * The memory of a connection's unfinished message and outbox. Whatever room they get is charged to the connection's
 * user before it is made, and given back when it is freed, so that what is charged is at any time the sum of the rooms.
 * Growing is by doubling, so the lock of the users is far from the way of a frame. What has to be told to a client that
 * ends is made room for without a look at the limits.
 *
 * Rooms stay for as long as they may be needed again soon: a connection that streams allocates nothing. One that did
 * not use them for IDLE_US gives them back, so that idle connections cost little.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/connection.h"
#include "daemon/users.h"

#define IDLE_US 30000000

/* The first room of a connection that holds no stream: enough for a hello or an open. */
#define FIRST_PARTIAL_BYTES 512

static int charge(const struct connection *connection, size_t n_bytes, struct attnp_error *error)
{
    struct users *users = connection->shard->shared->users;
    if (!connection->is_ending)
        return users_charge(users, connection->uid, USERS_BUFFER_BYTES, n_bytes, error);
    users_charge_anyway(users, connection->uid, USERS_BUFFER_BYTES, n_bytes);
    return 0;
}

static void discharge(const struct connection *connection, size_t n_bytes)
{
    users_discharge(connection->shard->shared->users, connection->uid, USERS_BUFFER_BYTES, n_bytes);
}

/* Room for what its streams' clients push at once, so that a push that comes in pieces finds it; else little. */
static size_t first_partial(const struct connection *connection)
{
    size_t room = FIRST_PARTIAL_BYTES;
    for (size_t i = 0; i < connection->n_streams; i++)
        while (room < SHARD_INPUT_BYTES && room < connection->streams[i]->push_bytes + FIRST_PARTIAL_BYTES)
            room *= 2;
    return room;
}

/* Doubling, so that nothing is made for a mere claim; and no more than the longest message, or one read, needs. */
static size_t partial_room(const struct connection *connection, size_t n_needed)
{
    size_t message = ATTNP_LENGTH_BYTES + config_number(connection->shard->shared->config, CONFIG_limits_message_bytes);
    size_t most = message > SHARD_INPUT_BYTES ? message : SHARD_INPUT_BYTES;
    size_t room = connection->partial_room == 0 ? first_partial(connection) : connection->partial_room;
    while (room < n_needed)
        room *= 2;
    if (room > most && n_needed <= most)
        return most;
    return room;
}

int connection_grow_partial(struct connection *connection, size_t n_needed, struct attnp_error *error)
{
    if (n_needed <= connection->partial_room)
        return 0;
    size_t room = partial_room(connection, n_needed), more = room - connection->partial_room;
    if (charge(connection, more, error) != 0)
        return -1;
    uint8_t *larger = realloc(connection->partial, room);
    if (larger == NULL) {
        discharge(connection, more);
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for an unfinished message of %zu bytes; try again later",
                          n_needed);
    }
    connection->partial = larger;
    connection->partial_room = room;
    return 0;
}

void connection_free_partial(struct connection *connection)
{
    discharge(connection, connection->partial_room);
    free(connection->partial);
    connection->partial = NULL;
    connection->n_partial = connection->partial_room = 0;
}

uint8_t *connection_grow_outbox(struct connection *connection, size_t n_bytes, struct attnp_error *error)
{
    size_t more = outbox_add_takes(&connection->outbox, n_bytes);
    if (more > 0 && charge(connection, more, error) != 0)
        return NULL;
    uint8_t *place = outbox_add(&connection->outbox, n_bytes);
    if (place == NULL) {
        discharge(connection, more);
        attnp_fail(error, ATTNP_NO_MEMORY, "no memory for a message after %zu unsent bytes; try again later",
                   outbox_bytes(&connection->outbox));
    }
    return place;
}

/* The most that outputs may take in the outbox with this stream among the others: all that the credits allow, but no
 * more than makes it full and a batch, or one message, behind that. */
static size_t most_outputs(const struct connection *connection, const struct held *held)
{
    const struct config *config = connection->shard->shared->config;
    size_t full = config_number(config, CONFIG_limits_unsent_bytes),
           message = ATTNP_LENGTH_BYTES + config_number(config, CONFIG_limits_message_bytes);
    size_t most = full + (message > full ? message : full), all = held->output_bytes;
    for (size_t i = 0; i < connection->n_streams && all < most; i++)
        all += connection->streams[i]->output_bytes;
    return all < most ? all : most;
}

int connection_reserve_outbox(struct connection *connection, const struct held *held, struct attnp_error *error)
{
    size_t n_bytes = most_outputs(connection, held);
    size_t before = outbox_room(&connection->outbox), more = outbox_reserve_takes(&connection->outbox, n_bytes);
    if (more == 0)
        return 0;
    if (charge(connection, more, error) != 0) {
        error->code = ATTNP_OVER_CAPACITY;
        return -1;
    }
    int status = outbox_reserve(&connection->outbox, n_bytes);
    if (status == 0)
        return 0;
    discharge(connection, more - (outbox_room(&connection->outbox) - before)); /* one of the two may have been made */
    return attnp_fail(error, ATTNP_NO_MEMORY, "no memory for %zu bytes of outputs; try again later", n_bytes);
}

void connection_free_outbox(struct connection *connection)
{
    assert(!connection->outbox.is_flying);
    discharge(connection, outbox_room(&connection->outbox));
    outbox_done(&connection->outbox);
}

void connection_free_idle(struct connection *connection, uint64_t now_us)
{
    if (connection->partial_room == 0 && outbox_room(&connection->outbox) == 0)
        return;
    if (connection->uses_partial || connection->n_partial > 0)
        connection->partial_us = now_us;
    if (connection->uses_outbox || connection->n_streams > 0 || outbox_bytes(&connection->outbox) > 0)
        connection->outbox_us = now_us;
    connection->uses_partial = connection->uses_outbox = false;
    if (now_us - connection->partial_us > IDLE_US && connection->partial_room > 0)
        connection_free_partial(connection);
    if (now_us - connection->outbox_us > IDLE_US && outbox_room(&connection->outbox) > 0)
        connection_free_outbox(connection);
}
