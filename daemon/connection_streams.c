/* SPDX-License-Identifier: MIT */
/* Which streams a connection holds: pointers by rising number. Numbers rise with each open, so a new one goes to the
 * end; only an attached one may have its place among the others. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/connection.h"

/* Index of the first held stream whose number is not below `number`. */
static size_t place_of(const struct connection *connection, uint64_t number)
{
    size_t low = 0, high = connection->n_streams;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (connection->streams[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct held *connection_held(const struct connection *connection, uint64_t number)
{
    size_t place = place_of(connection, number);
    bool found = place < connection->n_streams && connection->streams[place]->number == number;
    return found ? connection->streams[place] : NULL;
}

void connection_held_init(struct held *held, uint64_t number, size_t push_bytes, size_t output_bytes)
{
    *held = (struct held){.number = number, .push_bytes = push_bytes, .output_bytes = output_bytes};
}

static int reserve_place(struct connection *connection)
{
    if (connection->n_streams < connection->streams_room)
        return 0;
    size_t room = connection->streams_room == 0 ? 4 : 2 * connection->streams_room;
    struct held **larger = realloc(connection->streams, room * sizeof(struct held *));
    if (larger == NULL)
        return -1;
    connection->streams = larger;
    connection->streams_room = room;
    return 0;
}

int connection_provide(struct connection *connection, const struct held *held, struct attnp_error *error)
{
    if (reserve_place(connection) != 0)
        return attnp_fail(error, ATTNP_NO_MEMORY, "no memory to hold stream %ju; try again later",
                          (uintmax_t)held->number);
    return connection_reserve_outbox(connection, held, error);
}

void connection_hold(struct connection *connection, struct held *held)
{
    size_t place = place_of(connection, held->number);
    assert(held->by == NULL && connection->n_streams < connection->streams_room);
    assert(place == 0 || connection->streams[place - 1]->number < held->number);
    assert(place == connection->n_streams || connection->streams[place]->number > held->number);
    memmove(&connection->streams[place + 1], &connection->streams[place],
            (connection->n_streams - place) * sizeof(struct held *));
    connection->streams[place] = held;
    connection->n_streams++;
    held->by = connection;
}

void connection_release(struct held *held)
{
    struct connection *connection = held->by;
    assert(connection != NULL);
    size_t place = place_of(connection, held->number);
    assert(place < connection->n_streams && connection->streams[place] == held);
    connection->n_streams--;
    memmove(&connection->streams[place], &connection->streams[place + 1],
            (connection->n_streams - place) * sizeof(struct held *));
    held->by = NULL;
}

struct share *connection_share(struct shard *shard, const struct held *held, uid_t uid)
{
    if (held->by != NULL)
        return share_use(held->by->share);
    struct share *share = share_join(shard, uid);
    return share != NULL ? share : share_use(shard->shares.parked);
}

bool connection_is_holder(const struct held *held, const struct shard *shard, const struct asker *asker)
{
    return held->by != NULL && asker->shard == shard->index && asker->connection == held->by->id;
}

void connection_lose(struct held *held)
{
    struct connection *connection = held->by;
    assert(connection != NULL);
    connection->lost[connection->n_lost++ % CONNECTION_MOST_LOST] = held->number;
    connection_release(held);
}

bool connection_has_lost(const struct connection *connection, uint64_t number)
{
    for (size_t i = 0; i < CONNECTION_MOST_LOST && i < connection->n_lost; i++)
        if (connection->lost[i] == number)
            return true;
    return false;
}
