/* SPDX-License-Identifier: MIT */
/* Which streams a connection holds: pointers by rising number. Numbers rise with each open, so a new one goes to the
 * end; only an attached one may have its place among the others. */
#include <stdlib.h>
#include <string.h>

#include "daemon/connection.h"

/* Index of the first held stream whose number is not below `number`. */
static size_t place_of(const struct connection *connection, uint64_t number)
{
    size_t low = 0, high = connection->n_streams;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (connection->streams[middle]->card.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct stream *connection_stream(const struct connection *connection, uint64_t number)
{
    size_t place = place_of(connection, number);
    bool found = place < connection->n_streams && connection->streams[place]->card.number == number;
    return found ? connection->streams[place] : NULL;
}

int connection_reserve_stream(struct connection *connection)
{
    if (connection->n_streams < connection->streams_room)
        return 0;
    size_t room = connection->streams_room == 0 ? 4 : 2 * connection->streams_room;
    struct stream **larger = realloc(connection->streams, room * sizeof(struct stream *));
    if (larger == NULL)
        return -1;
    connection->streams = larger;
    connection->streams_room = room;
    return 0;
}

void connection_hold(struct connection *connection, struct stream *stream)
{
    size_t place = place_of(connection, stream->card.number);
    memmove(&connection->streams[place + 1], &connection->streams[place],
            (connection->n_streams - place) * sizeof(struct stream *));
    connection->streams[place] = stream;
    connection->n_streams++;
    stream->holder = connection;
}

void connection_release(struct connection *connection, struct stream *stream)
{
    size_t place = place_of(connection, stream->card.number);
    connection->n_streams--;
    memmove(&connection->streams[place], &connection->streams[place + 1],
            (connection->n_streams - place) * sizeof(struct stream *));
    stream->holder = NULL;
}

void connection_lose(struct connection *connection, struct stream *stream)
{
    connection->lost[connection->n_lost++ % CONNECTION_MOST_LOST] = stream->card.number;
    connection_release(connection, stream);
}

bool connection_has_lost(const struct connection *connection, uint64_t number)
{
    for (size_t i = 0; i < CONNECTION_MOST_LOST && i < connection->n_lost; i++)
        if (connection->lost[i] == number)
            return true;
    return false;
}
