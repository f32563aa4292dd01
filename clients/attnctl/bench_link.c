/* SPDX-License-Identifier: MIT */
/*
 * A bench shares its processors with the daemon that it measures, so what a frame costs here is kept small: one read
 * takes what has come, one write sends what was gathered meanwhile, nothing is allocated once the buffers have grown,
 * and the socket is asked for room to write only after a write that found none.
 */
#include "config.h"

#include "attnctl/bench_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attnctl/bench_clock.h"
#include "protocol/message.h"

#define FIRST_CAPACITY (256 * 1024)
#define CONNECT_S      5

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct bench_link *link)
{
    uv_poll_start(&link->poll, UV_READABLE | (link->blocked ? UV_WRITABLE : 0), on_ready);
}

/* The end of a link, once. */
static void end(struct bench_link *link)
{
    if (link->ended)
        return;
    link->ended = true;
    uv_poll_stop(&link->poll);
    link->events->ended(link);
}

static void fail(struct bench_link *link, const char *what)
{
    if (!link->why.text[0])
        problem_set(&link->why, "%s: %s", what, strerror(errno));
    end(link);
}

/* Makes room to read into: at least one byte, and in the end the whole of the longest message. */
static bool make_room(struct bench_link *link)
{
    if (link->in_begin > 0) {
        memmove(link->in, link->in + link->in_begin, link->in_end - link->in_begin);
        link->in_end -= link->in_begin;
        link->in_begin = 0;
    }
    if (link->in_end < link->in_capacity)
        return true;
    uint8_t *bytes = realloc(link->in, 2 * link->in_capacity);
    if (!bytes)
        return false;
    link->in = bytes;
    link->in_capacity *= 2;
    return true;
}

/* Hands up the whole messages of the buffer. */
static void take_messages(struct bench_link *link, uint64_t now_ns)
{
    const uint8_t *body;
    size_t n_body;
    struct attnp_error error;
    while (!link->ended && link->in_begin < link->in_end) {
        int found = attnp_message_find(link->in + link->in_begin, link->in_end - link->in_begin, link->max_message,
                                       &body, &n_body, &error);
        if (found == 0)
            break;
        if (found < 0)
            problem_set(&link->why, "what the daemon sent is no message: %s", error.text);
        if (found < 0 || !link->events->message(link, body, n_body, now_ns)) {
            end(link);
            break;
        }
        link->in_begin += ATTNP_LENGTH_BYTES + n_body;
    }
}

static void read_some(struct bench_link *link)
{
    if (!make_room(link)) {
        problem_set(&link->why, "no memory for a message of %zu bytes", link->in_capacity);
        end(link);
        return;
    }
    ssize_t n = read(link->fd, link->in + link->in_end, link->in_capacity - link->in_end);
    if (n > 0) {
        link->in_end += (size_t)n;
        take_messages(link, bench_now_ns());
    } else if (n == 0 || errno == ECONNRESET) {
        if (!link->why.text[0])
            problem_set(&link->why,
                        "the daemon ended the connection without saying why; did it crash, or was it killed?");
        end(link);
    } else if (errno != EAGAIN && errno != EINTR) {
        fail(link, "reading from the daemon failed");
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct bench_link *link = poll->data;
    if (!link->ended && (status < 0 || (events & UV_READABLE)))
        read_some(link);
    /* Of a connection that broke, libuv tells once, and then no more; there may be more than one read's bytes left. */
    if (!link->ended && status < 0)
        watch(link);
    if (!link->blocked || (events & UV_WRITABLE))
        bench_link_flush(link);
}

void bench_link_init(struct bench_link *link, const struct bench_link_events *events, void *owner, uint32_t index)
{
    *link = (struct bench_link){.fd = -1, .events = events, .owner = owner, .index = index};
}

int bench_link_adopt(struct bench_link *link, uv_loop_t *loop, int fd, struct problem *problem)
{
    link->fd = fd;
    link->max_message = ATTNP_MAX_MESSAGE;
    link->in_capacity = link->out_capacity = FIRST_CAPACITY;
    link->in = malloc(link->in_capacity);
    link->out = malloc(link->out_capacity);
    if (!link->in || !link->out)
        return problem_set(problem, "no memory for a connection");
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    int status = uv_poll_init(loop, &link->poll, fd);
    if (status < 0)
        return problem_set(problem, "a connection cannot be waited for: %s", uv_strerror(status));
    link->poll.data = link;
    link->polled = true;
    watch(link);
    return 0;
}

int bench_link_connect(struct bench_link *link, uv_loop_t *loop, const char *path, struct problem *problem)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = CONNECT_S};
    if (strlen(path) >= sizeof(address.sun_path))
        return problem_set(problem, "%s: the path of a socket has at most %zu bytes", path,
                           sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return problem_set(problem, "no socket can be made: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return bench_link_adopt(link, loop, fd, problem);
    if (errno == EAGAIN)
        problem_set(problem, "the daemon takes no connection: is it hung?");
    else
        problem_set(problem, "%s: cannot connect: %s; does attnd still run?", path, strerror(errno));
    close(fd);
    return -1;
}

void bench_link_allow(struct bench_link *link, size_t max_message)
{
    link->max_message = max_message;
}

uint8_t *bench_link_room(struct bench_link *link, size_t n, size_t most)
{
    size_t waiting = link->out_end - link->out_begin;
    bool is_full = most > 0 && waiting > 0 && waiting + n > most;
    link->starved |= is_full;
    if (link->ended || is_full)
        return NULL;
    if (link->out_capacity - link->out_end >= n)
        return link->out + link->out_end;
    memmove(link->out, link->out + link->out_begin, waiting);
    link->out_begin = 0;
    link->out_end = waiting;
    size_t capacity = link->out_capacity;
    while (capacity - waiting < n)
        capacity *= 2;
    if (capacity > link->out_capacity) {
        uint8_t *bytes = realloc(link->out, capacity);
        if (!bytes)
            return NULL;
        link->out = bytes;
        link->out_capacity = capacity;
    }
    return link->out + link->out_end;
}

void bench_link_added(struct bench_link *link, size_t n)
{
    link->out_end += n;
}

/* Writes until all is written, or the kernel has no room. */
static void write_out(struct bench_link *link)
{
    link->blocked = false;
    while (!link->ended && !link->blocked && link->out_begin < link->out_end) {
        ssize_t n = send(link->fd, link->out + link->out_begin, link->out_end - link->out_begin, MSG_NOSIGNAL);
        if (n > 0) {
            link->out_begin += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            link->blocked = true;
        } else if (n < 0 && errno != EINTR) {
            /* What the daemon said before it closed the connection is still to be read: that ends it. */
            link->out_begin = link->out_end;
            if (errno != EPIPE && errno != ECONNRESET)
                fail(link, "writing to the daemon failed");
        }
    }
    if (link->out_begin == link->out_end)
        link->out_begin = link->out_end = 0;
}

void bench_link_flush(struct bench_link *link)
{
    bool was_blocked = link->blocked;
    if (link->ended)
        return;
    write_out(link);
    while (!link->ended && !link->blocked && link->starved) {
        link->starved = false;
        link->events->drained(link);
        write_out(link);
    }
    if (!link->ended && link->blocked != was_blocked)
        watch(link);
}

void bench_link_close(struct bench_link *link)
{
    link->ended = true;
    if (link->polled)
        uv_close((uv_handle_t *)&link->poll, NULL);
    link->polled = false;
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

void bench_link_done(struct bench_link *link)
{
    free(link->in);
    free(link->out);
    link->in = link->out = NULL;
}
