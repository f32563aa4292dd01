/* SPDX-License-Identifier: MIT */
/*
 * The rule that keeps a client and a daemon from waiting for each other: nobody here ever waits for room to write
 * alone. A daemon that cannot write its outputs stops reading, so a client that only writes would stop it for ever;
 * a function that waits in this file waits for both directions, and takes in what comes.
 *
 * The socket is non-blocking, and every wait is a poll with two limits. One counts from the last byte in either
 * direction, so that a daemon that is silent is soon told from one that is slow. The other bounds what a call waits in
 * all, so that no daemon holds a call by sending something else for ever. There is no output buffer: a send ends when
 * the kernel has it all.
 */
#include "config.h"

#include "libattnclient/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "libattnclient/error.h"
#include "protocol/limits.h"
#include "protocol/message.h"

#define FIRST_CAPACITY (64 * 1024)

void attnc_connection_init(struct attnc_connection *connection, struct attnc_error *error, attnc_take_fn *take,
                           void *ctx)
{
    *connection = (struct attnc_connection){
        .descriptor = -1,
        .max_message = ATTNP_MAX_MESSAGE,
        .take = take,
        .ctx = ctx,
        .error = error,
    };
}

void attnc_connection_done(struct attnc_connection *connection)
{
    if (connection->descriptor >= 0)
        close(connection->descriptor);
    connection->descriptor = -1;
    free(connection->bytes);
    connection->bytes = NULL;
}

/* A Unix socket whose backlog is full answers EAGAIN and never becomes ready by itself: it is tried again until the
 * time is up. */
static int connect_until(int descriptor, const struct sockaddr_un *address, uint64_t deadline)
{
    for (;;) {
        if (connect(descriptor, (const struct sockaddr *)address, sizeof(*address)) == 0)
            return 0;
        if (errno != EAGAIN && errno != EINTR)
            return -1;
        if (attnc_connection_now_ms() >= deadline) {
            errno = ETIMEDOUT;
            return -1;
        }
        poll(NULL, 0, 10);
    }
}

int attnc_connection_open(struct attnc_connection *connection, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return attnc_fail(connection->error, ATTNC_E_OPTIONS,
                          "%s: the path of a socket has at most %zu bytes, this one %zu", path,
                          sizeof(address.sun_path) - 1, strlen(path));
    strcpy(address.sun_path, path);
    connection->deadline = attnc_connection_now_ms() + connection->limit_ms;
    connection->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->descriptor < 0)
        return attnc_fail_system(connection->error, ATTNC_E_CONNECT, "no socket can be made");
    int flags = fcntl(connection->descriptor, F_GETFL);
    if (fcntl(connection->descriptor, F_SETFL, flags | O_NONBLOCK) < 0)
        return attnc_fail_system(connection->error, ATTNC_E_CONNECT, "the socket cannot be set up");
    if (connect_until(connection->descriptor, &address, connection->deadline) == 0)
        return 0;
    if (errno == ETIMEDOUT)
        return attnc_fail(connection->error, ATTNC_E_TIMEOUT,
                          "%s: the daemon did not take the connection within %u ms; is it hung?", path,
                          connection->limit_ms);
    return attnc_fail_system(connection->error, ATTNC_E_CONNECT, "%s: cannot connect", path);
}

/* Makes room to read into: at least one byte, and the whole of a message whose length is known. */
static int make_room(struct attnc_connection *connection)
{
    size_t waiting = connection->end - connection->begin;
    if (connection->begin > 0) {
        memmove(connection->bytes, connection->bytes + connection->begin, waiting);
        connection->begin = 0;
        connection->end = waiting;
    }
    if (connection->end < connection->capacity)
        return 0;
    size_t capacity = connection->capacity ? 2 * connection->capacity : FIRST_CAPACITY;
    uint8_t *bytes = realloc(connection->bytes, capacity);
    if (!bytes)
        return attnc_fail(connection->error, ATTNC_E_MEMORY, "no memory for a message of more than %zu bytes", waiting);
    connection->bytes = bytes;
    connection->capacity = capacity;
    return 0;
}

/* Hands up the whole messages of the buffer, and returns how many. The buffer doubles only while one message is longer,
 * and messages have a limit, so it stays below 2 · max_message + FIRST_CAPACITY. */
static int take_messages(struct attnc_connection *connection)
{
    for (int taken = 0;; taken++) {
        const uint8_t *body;
        size_t n_body;
        struct attnp_error wire;
        if (connection->begin == connection->end)
            return taken; /* there may be no buffer yet */
        int found = attnp_message_find(connection->bytes + connection->begin, connection->end - connection->begin,
                                       connection->max_message, &body, &n_body, &wire);
        if (found < 0)
            return attnc_fail_wire(connection->error, ATTNC_E_PROTOCOL, &wire);
        if (found == 0)
            return taken;
        connection->begin += ATTNP_LENGTH_BYTES + n_body;
        int result = connection->take(connection->ctx, body, n_body);
        if (result != 0)
            return result < 0 ? result : taken + 1;
    }
}

/* Reads once, unless messages were left in the buffer. 1 where something came or was there, 0 where not. */
static int read_some(struct attnc_connection *connection)
{
    int result = take_messages(connection);
    if (result != 0)
        return result < 0 ? result : 1;
    result = make_room(connection);
    if (result < 0)
        return result;
    ssize_t n =
        read(connection->descriptor, connection->bytes + connection->end, connection->capacity - connection->end);
    if (n > 0) {
        connection->end += n;
        result = take_messages(connection);
        return result < 0 ? result : 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0 && errno != ECONNRESET)
        return attnc_fail_system(connection->error, ATTNC_E_CLOSED, "reading from the daemon failed");
    if (connection->farewell.result == 0)
        return attnc_fail(connection->error, ATTNC_E_CLOSED,
                          "the daemon ended the connection without saying why; did it crash, or was it killed?");
    *connection->error = connection->farewell;
    return ATTNC_E_CLOSED;
}

uint64_t attnc_connection_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void attnc_connection_limit(struct attnc_connection *connection, uint32_t limit_ms, const char *awaited)
{
    connection->limit_ms = limit_ms;
    connection->deadline = 0;
    connection->awaited = awaited;
}

void attnc_connection_restart(struct attnc_connection *connection)
{
    connection->deadline = 0;
}

void attnc_connection_excuse(struct attnc_connection *connection, uint64_t began_ms)
{
    if (connection->deadline)
        connection->deadline += attnc_connection_now_ms() - began_ms;
}

/* Waits for the events; the revents, 0 where the time was up. Signals make no wait longer. */
static int wait_for(struct attnc_connection *connection, short events, int timeout_ms)
{
    struct pollfd poll_for = {.fd = connection->descriptor, .events = events};
    uint64_t now = attnc_connection_now_ms(), until = now + (uint64_t)timeout_ms;
    int n;
    if (connection->limit_ms && !connection->deadline)
        connection->deadline = now + connection->limit_ms;
    if (connection->deadline && connection->deadline <= now)
        return 0;
    if (connection->deadline && connection->deadline < until)
        until = connection->deadline;
    do {
        n = poll(&poll_for, 1, until > now ? (int)(until - now) : 0);
        now = attnc_connection_now_ms();
    } while (n < 0 && errno == EINTR);
    return n > 0 ? poll_for.revents : 0;
}

static int fail_late(struct attnc_connection *connection)
{
    if (connection->deadline && connection->deadline <= attnc_connection_now_ms())
        return attnc_fail(connection->error, ATTNC_E_TIMEOUT, "no %s came from the daemon within %u ms; is it hung?",
                          connection->awaited, connection->limit_ms);
    return attnc_fail(connection->error, ATTNC_E_TIMEOUT, "nothing came from the daemon for %u ms; is it hung?",
                      connection->silence_ms);
}

static int send_all(struct attnc_connection *connection, const void *bytes, size_t n)
{
    const uint8_t *rest = bytes;
    while (n > 0) {
        ssize_t sent = send(connection->descriptor, rest, n, MSG_NOSIGNAL);
        if (sent > 0) {
            rest += sent;
            n -= sent;
            continue;
        }
        /* Where the daemon has closed the connection, its last words are still to be read. */
        bool closed = sent < 0 && (errno == EPIPE || errno == ECONNRESET);
        short events = POLLIN | (closed ? 0 : POLLOUT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR && !closed)
            return attnc_fail_system(connection->error, ATTNC_E_CLOSED, "writing to the daemon failed");
        int ready = wait_for(connection, events, connection->silence_ms);
        if (ready == 0)
            return fail_late(connection);
        int result = ready & ~POLLOUT ? read_some(connection) : 0;
        if (result < 0)
            return result;
    }
    return 0;
}

static int receive(struct attnc_connection *connection, int timeout_ms)
{
    int taken = take_messages(connection);
    if (taken != 0)
        return taken < 0 ? taken : 1;
    if (wait_for(connection, POLLIN, timeout_ms < 0 ? (int)connection->silence_ms : timeout_ms) == 0)
        return timeout_ms < 0 ? fail_late(connection) : 0;
    return read_some(connection);
}

/* Keeps a failure for all later calls. */
static int keep_failure(struct attnc_connection *connection, int result)
{
    if (result < 0)
        connection->lost = *connection->error;
    return result;
}

static int fail_again(struct attnc_connection *connection)
{
    *connection->error = connection->lost;
    return connection->lost.result;
}

int attnc_connection_send(struct attnc_connection *connection, const void *bytes, size_t n)
{
    return connection->lost.result ? fail_again(connection) : keep_failure(connection, send_all(connection, bytes, n));
}

int attnc_connection_receive(struct attnc_connection *connection, int timeout_ms)
{
    return connection->lost.result ? fail_again(connection) : keep_failure(connection, receive(connection, timeout_ms));
}
