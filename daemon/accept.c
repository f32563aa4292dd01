/* SPDX-License-Identifier: MIT */
/*
 * libuv, at the descriptor limit, accepts and closes: the client sees a bare end of file. So the daemon accepts by
 * itself, keeps its connections below the limit, and holds one descriptor in reserve, which it gives up to accept,
 * answer and close where the limit is met all the same. Where even that does not help, the socket stays readable, and a
 * loop that goes on polling it would take a whole processor: it is left alone for a moment.
 */
#include "daemon/accept.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/client_log.h"
#include "daemon/file.h"
#include "daemon/log.h"
#include "daemon/traffic.h"
#include "daemon/users.h"

/* Connections taken in one go, before signals and the like are looked at again. */
#define MOST_AT_ONCE 256

/* Reads of what a client that is turned away has sent: more than a socket holds. */
#define MOST_DISCARDED 64

/* How long accepting is left alone where there is no descriptor or memory for it. */
#define PAUSE_MS 100

/* One error, then the end; what the client has sent is read, since a close with unread bytes discards ours on its side.
 * Not for as long as it goes on sending, though: all others would wait for that.
 */
static void turn_away(struct accept *accept, int fd, const struct attnp_error *error)
{
    struct attnp_writer writer;
    const uint8_t *bytes;
    size_t n_bytes;
    char discarded[4096];
    counters_add(&accept->shared->n_turned_away, 1);
    client_log_client(&accept->log_quota, fd, error);
    attnp_writer_init(&writer);
    attnp_write_error_notification(&writer, error);
    if (attnp_write_end(&writer, ATTNP_MAX_MESSAGE, &bytes, &n_bytes) == 0)
        (void)!send(fd, bytes, n_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    attnp_writer_done(&writer);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < MOST_DISCARDED && recv(fd, discarded, sizeof(discarded), MSG_DONTWAIT) > 0; i++)
        ;
    close(fd);
}

/* Loads that differ by less are the same: what is measured is never quite equal. */
#define LOAD_STEP_PERMILLE 50

/* What was given to a shard in so short a time does not show in its load yet. */
#define RECENT_US 1000000

/* The larger of what a shard was busy and of what is claimed of it, in steps; where its streams have all gone, what
 * they took is of no interest. Each connection that has just come is taken for a step, or all that come together would
 * go to the shard that had a little more room before the first of them. */
static uint64_t load_of(const struct shard *shard, uint64_t now_us)
{
    uint64_t n_recent = now_us - shard->accept.since_us < RECENT_US ? shard->accept.n : 0;
    uint64_t busy = counters_get(&shard->use.utilisation_permille);
    uint64_t claimed = (counters_get(&shard->ledger.claimed_ns) + counters_get(&shard->use.unrated_ns)) / 1000000;
    if (traffic_streams(shard->shared->traffic, shard->index) == 0)
        return n_recent;
    return (busy > claimed ? busy : claimed) / LOAD_STEP_PERMILLE + n_recent;
}

static void note_recent(struct shard *shard, uint64_t now_us)
{
    if (now_us - shard->accept.since_us >= RECENT_US) {
        shard->accept.since_us = now_us;
        shard->accept.n = 0;
    }
    shard->accept.n++;
}

/* Most room, then fewest streams, then fewest connections. */
static struct shard *shard_with_room(const struct accept *accept)
{
    struct shard *best = NULL;
    uint64_t least[3] = {0}, now_us = shard_now_us();
    for (unsigned i = 0; i < accept->shared->n_shards; i++) {
        struct shard *shard = &accept->shared->shards[i];
        const uint64_t load[3] = {load_of(shard, now_us), traffic_streams(shard->shared->traffic, shard->index),
                                  atomic_load(&shard->n_assigned)};
        size_t k = 0;
        while (k < 2 && load[k] == least[k])
            k++;
        if (best == NULL || load[k] < least[k]) {
            best = shard;
            memcpy(least, load, sizeof(least));
        }
    }
    note_recent(best, now_us);
    return best;
}

/* To a shard, which gives back what the connection was charged. 0, or -1 and *error. */
static int hand_out(struct accept *accept, int fd, const struct ucred *peer, struct attnp_error *error)
{
    struct mail *mail = mail_new(MAIL_CONNECTION, 0);
    if (mail == NULL)
        return attnp_fail(error, ATTNP_SERVER_FULL, "no memory for a connection; try again later");
    mail->fd = fd;
    mail->uid = peer->uid;
    mail->pid = peer->pid;
    mail->connection = ++accept->last_connection;
    struct shard *shard = shard_with_room(accept);
    shard_connection_given(shard);
    shard_post(shard, mail);
    return 0;
}

static void take(struct accept *accept, int fd)
{
    struct users *users = accept->shared->users;
    struct attnp_error error;
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t n_peer = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_peer) != 0) {
        attnp_fail(&error, ATTNP_SERVER_FULL, "the connection's user is not known: %s", strerror(errno));
        turn_away(accept, fd, &error);
        return;
    }
    if (users_charge(users, peer.uid, USERS_CONNECTIONS, 1, &error) == 0) {
        if (hand_out(accept, fd, &peer, &error) == 0)
            return;
        users_discharge(users, peer.uid, USERS_CONNECTIONS, 1);
    }
    error.code = ATTNP_SERVER_FULL; /* whatever was short */
    turn_away(accept, fd, &error);
}

static int accept_one(const struct accept *accept)
{
    return accept4(accept->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void ready(uv_poll_t *poll, int status, int events);

static void go_on(uv_timer_t *timer)
{
    struct accept *accept = timer->data;
    if (!accept->is_stopped)
        uv_poll_start(&accept->poll, UV_READABLE, ready);
}

static void pause_accepting(struct accept *accept, int why)
{
    if (!accept->is_short)
        log_warning("no client can be accepted, nor told so: %s; trying again every %d ms", strerror(why), PAUSE_MS);
    accept->is_short = true;
    uv_poll_stop(&accept->poll);
    uv_timer_start(&accept->again, go_on, PAUSE_MS, 0);
}

/* Tells one client that there is no descriptor for it. 0, or the errno that is met without the reserve as well: EAGAIN
 * where nobody waits, since the kernel looks for a descriptor first. */
static int accept_on_reserve(struct accept *accept)
{
    struct attnp_error error;
    if (accept->reserve_fd >= 0)
        close(accept->reserve_fd);
    int fd = accept_one(accept);
    int why = fd < 0 ? errno : 0;
    if (fd >= 0) {
        attnp_fail(&error, ATTNP_SERVER_FULL,
                   "the daemon is out of descriptors; try again later, or raise its LimitNOFILE=");
        turn_away(accept, fd, &error);
    }
    accept->reserve_fd = file_open_nothing();
    return why;
}

static void turn_all_away(struct accept *accept)
{
    struct attnp_error error;
    int fd;
    uint64_t most = 1 + config_number(accept->shared->config, CONFIG_listen_backlog); /* others may come for ever */
    attnp_fail(&error, ATTNP_DRAINING, "attnd stops; connect again when it is back");
    while (most-- > 0 && (fd = accept_one(accept)) >= 0)
        turn_away(accept, fd, &error);
}

/* 0, or the errno for which there is nothing more to be done now. */
static int accept_next(struct accept *accept)
{
    int fd = accept_one(accept);
    if (fd >= 0) {
        accept->is_short = false;
        take(accept, fd);
        return 0;
    }
    if (errno == ECONNABORTED || errno == EINTR)
        return 0;
    return errno == EMFILE || errno == ENFILE ? accept_on_reserve(accept) : errno;
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct accept *accept = poll->data;
    int why = 0;
    (void)status, (void)events;
    for (int i = 0; i < MOST_AT_ONCE && why == 0; i++) {
        why = accept_next(accept);
        shard_give_way(accept->shared);
    }
    if (why != 0 && why != EAGAIN)
        pause_accepting(accept, why);
}

int accept_start(struct accept *accept, uv_loop_t *loop, struct shared *shared, const struct listener *listener)
{
    accept->shared = shared;
    accept->listener = listener;
    accept->reserve_fd = file_open_nothing();
    int status = uv_poll_init(loop, &accept->poll, listener->fd);
    if (status != 0) {
        log_error("the socket cannot be watched: %s", uv_strerror(status));
        return -1;
    }
    uv_timer_init(loop, &accept->again);
    accept->poll.data = accept->again.data = accept;
    uv_poll_start(&accept->poll, UV_READABLE, ready);
    return 0;
}

void accept_stop(struct accept *accept, bool is_told)
{
    accept->is_stopped = true;
    uv_close((uv_handle_t *)&accept->poll, NULL);
    if (is_told)
        turn_all_away(accept);
}

void accept_look(struct accept *accept)
{
    log_left_out(&accept->log_quota, shard_now_us());
}

void accept_done(struct accept *accept)
{
    if (accept->reserve_fd >= 0)
        close(accept->reserve_fd);
}
