/* SPDX-License-Identifier: MIT */
/* One client's socket: bytes in, whole messages up; messages down, bytes out; and which streams the client holds. The
 * module knows no method and nothing of a stream but its number and how much its client may send and be sent. All
 * functions: the shard's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <uv.h>

#include "daemon/asker.h"
#include "daemon/outbox.h"
#include "daemon/shard.h"
#include "daemon/share.h"
#include "protocol/preface.h"
#include "protocol/session.h"

enum connection_phase {
    CONNECTION_OPEN,
    CONNECTION_ENDING, /* told why; closed once that is sent */
    CONNECTION_CLOSED  /* waits for libuv to let go of the handle */
};

/* Streams that it lost lately and what it may still push for them. */
#define CONNECTION_MOST_LOST 16

/* What a connection keeps in each stream. */
struct held {
    struct connection *by; /* NULL: nobody holds the stream; what it answers is kept */
    uint64_t number;       /* the stream's */
    size_t push_bytes;     /* of the frames that its credit allows, together */
    size_t output_bytes;   /* of the longest messages that answer these */
};

struct connection {
    uv_pipe_t pipe;
    struct shard *shard;
    struct share *share; /* its user's time; connections of one user have one */
    uint64_t id;
    uid_t uid;
    pid_t pid;
    enum connection_phase phase;
    struct attnp_session session;
    struct outbox outbox;
    uint8_t *partial; /* what arrived of an unfinished message; made when first needed */
    size_t n_partial, partial_room;
    bool uses_partial, uses_outbox; /* since the timer's last look */
    uint64_t partial_us, outbox_us; /* when it looked and they were in use */
    struct held **streams;          /* held, by rising number */
    size_t n_streams, streams_room;
    uint64_t lost[CONNECTION_MOST_LOST]; /* numbers, of the newest n_lost at n % CONNECTION_MOST_LOST */
    uint64_t n_lost;
    bool is_dirty, is_reading;
    bool is_held;                /* something waits until the client reads: bytes unread, or frames not computed */
    bool is_paused;              /* its user has no time left, or it sent much: goes on in a later turn */
    size_t n_unanswered;         /* requests whose response is not sent yet */
    bool is_finishing;           /* the client sends no more, and is still to have the answers that wait */
    bool is_waiting;             /* for what its client asked for: no further message is handled before that is done */
    bool is_ending;              /* what it is still sent has room whatever the limits */
    bool is_drained;             /* was told that the daemon stops */
    bool has_failed;             /* a message could not be kept for it: it ends at the next flush */
    struct attnp_error *failure; /* why; NULL where there was no memory to say it */
    uint64_t since_us;           /* opened, or in this phase since */
    uint64_t place;              /* among its user's paused connections: rises with every one that is paused */
    uint64_t resumed;            /* in the turn of this number, and nothing was read or handled since; 0: it was */
    uint64_t turn;               /* the loop's number of it */
    size_t turn_bytes;           /* that came in it */
    uint64_t progress_us;        /* when the client last read something, or nothing waited */
    uint64_t sent_seen;          /* outbox_sent, and what waited in the socket, at the timer's last look */
    int queued_seen;
    TAILQ_ENTRY(connection) all, dirty, paused;
    LIST_ENTRY(connection) by_id;
};

/* What becomes of a connection after a message. */
enum connection_next {
    CONNECTION_GOES_ON,
    CONNECTION_ENDS,     /* for *error, which the client is to be told */
    CONNECTION_ENDS_TOLD /* for *error, which the client was told by a response */
};

/* Upwards, to the module that gives the messages a meaning. */
struct connection_handler {
    /* A whole message came. */
    enum connection_next (*message)(struct connection *connection, const uint8_t *body, size_t n_body,
                                    struct attnp_error *error);
    /* The connection ends: its streams are to be given up, and the client is to be told why, unless it is_told. `why`
     * is NULL where the client is not there any more. */
    void (*ended)(struct connection *connection, const struct attnp_error *why, bool is_told);
    /* Whether nothing that the client sent still waits for its answer. */
    bool (*is_settled)(const struct connection *connection);
    /* The client has read: what was held back because of it may go on. */
    void (*relieved)(struct connection *connection);
};

/* Makes the empty lists and the input buffer of a shard; the handler is that of every connection. 0, or -1: no memory.
 * And frees them; no connection may be left. */
int connection_start(struct shard *shard, const struct connection_handler *handler);
void connection_stop(struct shard *shard);

/* A connection without a socket, in the shard's lists. NULL: no memory. Owner: the shard; it ends like any other. */
struct connection *connection_new(struct shard *shard, uint64_t id, uid_t uid, pid_t pid);

/* Takes a connected socket. 0, or -1: no memory; the descriptor is closed then. */
int connection_open(struct shard *shard, int fd, uint64_t id, uid_t uid, pid_t pid);

/* Has the handler give up the streams and tell the client why (NULL: nothing to tell), and closes once all is sent or
 * send_ms is over. Frees streams: not to be called while one of them is in use. */
void connection_end(struct connection *connection, const struct attnp_error *why);

/* Closes at once. The same holds. */
void connection_break(struct connection *connection);

/* Room for a message of n_bytes, which counts once connection_added was called; NULL where it cannot be kept (the
 * connection then ends at the next flush). It is sent after the loop's poll. */
uint8_t *connection_add(struct connection *connection, size_t n_bytes);
void connection_added(struct connection *connection, size_t n_bytes);

/* Appends a message; NULL: there was no memory to make it, and the connection ends at the next flush. */
void connection_send_bytes(struct connection *connection, const uint8_t *bytes, size_t n_bytes);

/* Ends the message in the shard's writer and appends it. */
void connection_send(struct connection *connection);

/* So much waits for the client that it is not served until it reads. */
bool connection_is_full(const struct connection *connection);

/* A frame is not computed because the connection is full: no more is read, and the handler is told once the client has
 * read. */
void connection_hold_back(struct connection *connection);

/* Room of its buffers, charged to its user (connection_buffers.c). The unfinished message's, for n_needed bytes in all,
 * and the outbox's, for n_bytes more: 0 or the place; or -1 or NULL, and *error: limit_exceeded, no_memory. Freeing
 * takes what has none. */
int connection_grow_partial(struct connection *connection, size_t n_needed, struct attnp_error *error);
uint8_t *connection_grow_outbox(struct connection *connection, size_t n_bytes, struct attnp_error *error);
void connection_free_partial(struct connection *connection);
void connection_free_outbox(struct connection *connection); /* where nothing is on its way */

/* Room for this stream's outputs beside those of the streams that are held. 0, or -1 and *error: over_capacity,
 * no_memory. */
int connection_reserve_outbox(struct connection *connection, const struct held *held, struct attnp_error *error);

/* Frees what was not used for long. For the timer. */
void connection_free_idle(struct connection *connection, uint64_t now_us);

/* What the client asked for takes a while: no further message is handled before connection_go_on is called. */
void connection_wait(struct connection *connection);
void connection_go_on(struct connection *connection);

/* The daemon stops: no more bytes are taken, for good. */
void connection_drain(struct connection *connection);

/* A turn of the loop begins: connections that are paused go on, as far as their users have time. */
void connection_begin_turn(struct shard *shard);

/* Sends what waits on all dirty connections, and ends those that failed. */
void connection_flush_all(struct shard *shard);

/* The timer's look at the connections, as many as there is time for: clients that say no hello, or read nothing; memory
 * that is not used. */
void connection_look_all(struct shard *shard, uint64_t now_us);

/* The client asked something that has one response; and that response is sent. */
void connection_asked(struct connection *connection);
void connection_answered(struct connection *connection);

/* An operator may look at and act on everybody's streams: root, and the daemon's own user. */
bool connection_is_operator(const struct connection *connection);

/* The connection with this id on this shard; NULL: gone. */
struct connection *connection_find(const struct shard *shard, uint64_t id);

/* The stream of this number that the connection holds; NULL: none. */
struct held *connection_held(const struct connection *connection, uint64_t number);

/* A stream that nobody holds yet. */
void connection_held_init(struct held *held, uint64_t number, size_t push_bytes, size_t output_bytes);

/* The memory to hold one stream more: its place, and room for its outputs among those of the others, so that sending
 * them allocates nothing. 0, or -1 and *error: over_capacity, no_memory. After it connection_hold cannot fail. */
int connection_provide(struct connection *connection, const struct held *held, struct attnp_error *error);
void connection_hold(struct connection *connection, struct held *held);
void connection_release(struct held *held);

/* The user in whose time something of the stream is done, which the caller then uses: its holder's, or where nobody
 * holds it its own, of this uid; the shard's `parked` where there is no memory for that. */
struct share *connection_share(struct shard *shard, const struct held *held, uid_t uid);

/* The asker's connection holds the stream, which is of this shard. */
bool connection_is_holder(const struct held *held, const struct shard *shard, const struct asker *asker);

/* Releases a stream that somebody else has taken or ended: what the client, not knowing it yet, still pushes for it is
 * no mistake. */
void connection_lose(struct held *held);
bool connection_has_lost(const struct connection *connection, uint64_t number);
