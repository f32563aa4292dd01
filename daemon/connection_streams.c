/* SPDX-License-Identifier: MIT */
/* Which streams a connection holds: pointers by rising number. Numbers rise with each open, so a new one goes to the
 * end. */
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
    connection->streams[connection->n_streams++] = stream;
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
