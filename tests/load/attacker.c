/* SPDX-License-Identifier: MIT */
/*
 * One user who asks for something all the time, on many connections at once:
 *
 *     attacker [--seconds S] [--user UID] KIND N SOCKET
 *
 *   stats      asks for stats;
 *   stray      pushes to a stream that does not exist;
 *   landmarks  opens a Nyström attention with 300 fixed landmarks twice under one name, and closes it;
 *   large      opens and closes a Nyström attention of 480 MiB, whose frames are cheap;
 *   reset      resets such an attention;
 *   dear       pushes to a retroactive Nyström attention that inverts 300 × 300 landmarks every other frame, or less
 *              where the daemon allows no such frame;
 *   connect    connects, and disconnects at once or behind hello.
 *
 * N connections, each of which is sent requests as fast as its socket takes them, without waiting for responses; all
 * that comes back is read and counted. The program says "ready" when all connections are greeted, attacks until its
 * standard input ends (or for S seconds, the guard against hanging), and prints one line of JSON. Root becomes another
 * user first. Memory is bounded: nothing is kept of a message but its beginning, and the kernel's buffers share a fixed
 * number of bytes.
 *
 * One thread. All requests of a kind are the same bytes but for pushes, which carry frame numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "protocol/cursor.h"
#include "protocol/errors.h"
#include "protocol/preface.h"
#include "protocol/push.h"
#include "protocol/writer.h"

#define MOST_CONNECTIONS 6000
#define MOST_SECONDS     600
#define NOBODY           65534
#define N_VARIANTS       4 /* names of streams, of which connection i uses the one of i % 4; or sizes, of `dear` */
#define N_LANDMARKS      300
#define LARGE_WINDOW     (1u << 20)
#define LARGE_DIM        55           /* 2 rings of 2^20 × 55 floats, and more: 480 MiB */
#define DEAR_FLOATS      6            /* of a frame: q, k and v of two floats */
#define PUSH_FRAMES      16           /* of one push */
#define BLOCK_BYTES      4096         /* about so many bytes of requests are written at once */
#define KEPT_BYTES       512          /* of the beginning of a message that came */
#define SOCKETS_BYTES    (256u << 20) /* what all sockets together may hold unsent */
#define SOCKET_BYTES     (128u << 10) /* the most of one */
#define N_CODES          32
#define NO_STREAM        ((uint64_t)1 << 40)

enum { ID_HELLO = 1, ID_OPEN, ID_REQUEST };

enum kind { STATS, STRAY, LANDMARKS, LARGE, RESET, DEAR, CONNECT, N_KINDS };
static const char *const kind_names[N_KINDS] = {"stats", "stray", "landmarks", "large", "reset", "dear", "connect"};

/* Whole messages, one after the other, and how many they are. */
struct block {
    uint8_t *bytes;
    size_t n_bytes;
    unsigned n_requests;
};

enum stage {
    UNCONNECTED, /* in the list of those to connect */
    GREETING,    /* hello is not answered yet */
    GREETED,     /* waits until all are */
    OPENING,     /* its stream is asked for, or shall be */
    ATTACKING,
    ENDED /* the daemon closed the connection */
};

struct connection {
    int fd;
    enum stage stage;
    bool watches_writes;
    unsigned turns;                  /* of connecting and disconnecting */
    unsigned variant;                /* which of the names; of `dear`: which size */
    const uint8_t *piece;            /* what is being sent; NULL: nothing */
    size_t n_piece, n_sent;          /* bytes */
    unsigned n_requests;             /* in the piece */
    uint8_t length[4];               /* of the message that is coming */
    size_t n_length, n_left, n_kept; /* bytes that are here, that are to come, that are kept */
    uint8_t kept[KEPT_BYTES];
    uint64_t stream, credit, output_bytes, next, settled;
    uint8_t push[KEPT_BYTES];
};

static struct attacker {
    enum kind kind;
    const char *path;
    unsigned n, n_waiting, n_opened, n_unconnected;
    int epoll;
    bool is_attacking;
    struct connection *connections, **unconnected;
    struct block hello, open[N_VARIANTS], requests[N_VARIANTS];
    struct attnp_writer writer;
    uint64_t sent, answered, outputs, events, ended, errors[N_CODES], bytes_sent, bytes_received, connects;
} attacker;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void give_up(const char *what)
{
    fprintf(stderr, "attacker: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *allocate(size_t n, size_t n_bytes)
{
    void *memory = calloc(n, n_bytes);
    if (memory == NULL)
        give_up("memory");
    return memory;
}

/* What is sent */

static void add_bytes(struct block *block, const uint8_t *bytes, size_t n_bytes)
{
    block->bytes = realloc(block->bytes, block->n_bytes + n_bytes);
    if (block->bytes == NULL)
        give_up("memory");
    memcpy(block->bytes + block->n_bytes, bytes, n_bytes);
    block->n_bytes += n_bytes;
}

/* Ends the message that the writer has begun, and adds it. */
static void add_message(struct block *block)
{
    const uint8_t *bytes;
    size_t n_bytes;
    if (attnp_write_end(&attacker.writer, ATTNP_MAX_MESSAGE, &bytes, &n_bytes) != 0)
        give_up("a message");
    add_bytes(block, bytes, n_bytes);
    block->n_requests++;
}

/* Repeats the block until it is worth a call of the system. */
static void lengthen(struct block *block)
{
    struct block once = {NULL, 0, block->n_requests};
    add_bytes(&once, block->bytes, block->n_bytes);
    while (block->n_bytes < BLOCK_BYTES) {
        add_bytes(block, once.bytes, once.n_bytes);
        block->n_requests += once.n_requests;
    }
    free(once.bytes);
}

static void add_hello(struct block *block)
{
    uint8_t preface[ATTNP_MAX_PREFACE];
    add_bytes(block, preface, attnp_preface_write(preface, NULL, 0));
    attnp_write_request(&attacker.writer, ID_HELLO, ATTNP_M_HELLO);
    attnp_write_map(&attacker.writer, 1);
    attnp_write_key(&attacker.writer, "versions");
    attnp_write_array(&attacker.writer, 1);
    attnp_write_uint(&attacker.writer, ATTNP_VERSION);
    add_message(block);
}

static void add_named(struct block *block, enum attnp_method method, const char *name)
{
    attnp_write_request(&attacker.writer, ID_REQUEST, method);
    attnp_write_map(&attacker.writer, 1);
    attnp_put_string(&attacker.writer, "name", name);
    add_message(block);
}

/* The beginning of open, up to the attention's window, heads and head_dim; n_more keys of the attention follow. */
static void begin_open(const char *name, const char *method, unsigned window, unsigned head_dim, unsigned n_more)
{
    struct attnp_writer *writer = &attacker.writer;
    attnp_write_request(writer, ID_OPEN, ATTNP_M_OPEN);
    attnp_write_map(writer, name != NULL ? 2 : 1);
    if (name != NULL)
        attnp_put_string(writer, "name", name);
    attnp_write_key(writer, "attention");
    attnp_write_map(writer, 4 + n_more);
    attnp_put_string(writer, "method", method);
    attnp_put_uint(writer, "window", window);
    attnp_put_uint(writer, "heads", 1);
    attnp_put_uint(writer, "head_dim", head_dim);
}

static void add_open_landmarks(struct block *block, const char *name)
{
    float landmarks[N_LANDMARKS][2];
    for (unsigned i = 0; i < N_LANDMARKS; i++) {
        landmarks[i][0] = (float)(i % 17) / 17;
        landmarks[i][1] = (float)(i % 23) / 23;
    }
    begin_open(name, "nystrom", N_LANDMARKS, 2, 4);
    attnp_put_uint(&attacker.writer, "landmarks", N_LANDMARKS);
    attnp_put_string(&attacker.writer, "landmark_policy", "fixed");
    attnp_put_bin(&attacker.writer, "q_landmarks", landmarks, sizeof(landmarks));
    attnp_put_bin(&attacker.writer, "k_landmarks", landmarks, sizeof(landmarks));
    add_message(block);
}

static void add_open_large(struct block *block, const char *name)
{
    begin_open(name, "nystrom", LARGE_WINDOW, LARGE_DIM, 2);
    attnp_put_uint(&attacker.writer, "landmarks", 4);
    attnp_put_string(&attacker.writer, "refresh", "spread");
    add_message(block);
}

/* Each size takes about two fifths of the time of the one before it. */
static void add_open_dear(struct block *block, unsigned size)
{
    static const unsigned n_landmarks[N_VARIANTS] = {N_LANDMARKS, 220, 160, 120};
    begin_open(NULL, "nystrom", 2 * n_landmarks[size], DEAR_FLOATS / 3, 2);
    attnp_put_uint(&attacker.writer, "landmarks", n_landmarks[size]);
    attnp_put_bool(&attacker.writer, "retroactive", true);
    add_message(block);
}

static void add_stats(struct block *block)
{
    attnp_write_request(&attacker.writer, ID_REQUEST, ATTNP_M_STATS);
    attnp_write_map(&attacker.writer, 0);
    add_message(block);
}

static void add_stray(struct block *block)
{
    static const float frame[DEAR_FLOATS];
    struct attnp_push push = {.stream = NO_STREAM, .frames = (const uint8_t *)frame, .n_bytes = sizeof(frame)};
    uint8_t bytes[KEPT_BYTES];
    add_bytes(block, bytes, attnp_push_write(bytes, &push));
    block->n_requests++;
}

static void prepare_variant(unsigned i)
{
    struct block *open = &attacker.open[i], *requests = &attacker.requests[i];
    char name[16];
    snprintf(name, sizeof(name), "attack-%u", i);
    switch (attacker.kind) {
    case STATS:
        add_stats(requests);
        break;
    case STRAY:
        add_stray(requests);
        break;
    case LANDMARKS:
        add_open_landmarks(requests, name);
        add_open_landmarks(requests, name);
        add_named(requests, ATTNP_M_CLOSE, name);
        break;
    case LARGE:
        add_open_large(requests, name);
        add_named(requests, ATTNP_M_CLOSE, name);
        break;
    case RESET:
        add_open_large(open, name);
        add_named(requests, ATTNP_M_RESET, name);
        break;
    case DEAR:
        add_open_dear(open, i);
        break;
    default:
        break;
    }
    if (requests->n_requests > 0)
        lengthen(requests);
}

static void send_next(struct connection *connection, const struct block *block)
{
    connection->piece = block->bytes;
    connection->n_piece = block->n_bytes;
    connection->n_requests = block->n_requests;
    connection->n_sent = 0;
}

/* As many frames as the credit allows; none where it is used up. */
static void send_frames(struct connection *connection)
{
    static float frames[PUSH_FRAMES * DEAR_FLOATS];
    uint64_t left = connection->credit - (connection->next - connection->settled);
    uint64_t n = left < PUSH_FRAMES ? left : PUSH_FRAMES;
    if (n == 0 || left > connection->credit)
        return;
    for (unsigned i = 0; i < PUSH_FRAMES * DEAR_FLOATS; i++)
        frames[i] = (float)((connection->next + i * 7) % 31) / 31;
    struct attnp_push push = {.stream = connection->stream,
                              .first = connection->next,
                              .frames = (const uint8_t *)frames,
                              .n_bytes = n * DEAR_FLOATS * sizeof(float)};
    struct block block = {connection->push, attnp_push_write(connection->push, &push), 1};
    send_next(connection, &block);
    connection->next += n;
}

/* Chooses what is sent next, if there is anything. */
static void choose(struct connection *connection)
{
    if (connection->piece != NULL || connection->stage != ATTACKING)
        return;
    if (attacker.kind == DEAR)
        send_frames(connection);
    else if (attacker.kind != CONNECT)
        send_next(connection, &attacker.requests[connection->variant]);
}

/* Connections */

static void watch(struct connection *connection)
{
    bool writes = connection->piece != NULL;
    struct epoll_event event = {EPOLLIN | (writes ? (uint32_t)EPOLLOUT : 0), {.ptr = connection}};
    if (connection->fd < 0 || writes == connection->watches_writes)
        return;
    connection->watches_writes = writes;
    if (epoll_ctl(attacker.epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0)
        give_up("epoll_ctl");
}

static void disconnect(struct connection *connection)
{
    close(connection->fd);
    connection->fd = -1;
    connection->piece = NULL;
    connection->n_length = connection->n_left = connection->n_kept = 0;
    if (attacker.kind == CONNECT) {
        connection->stage = UNCONNECTED;
        attacker.unconnected[attacker.n_unconnected++] = connection;
    } else {
        if (connection->stage == GREETING)
            attacker.n_waiting--;
        connection->stage = ENDED;
        attacker.ended++;
    }
}

static int open_socket(void)
{
    unsigned bytes = SOCKETS_BYTES / attacker.n;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bytes = bytes < SOCKET_BYTES ? bytes : SOCKET_BYTES;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) != 0)
        give_up("socket");
    return fd;
}

/* 0, or -1: the daemon has no room for it just now, or is gone. */
static int connect_one(struct connection *connection)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event event = {EPOLLIN | EPOLLOUT, {.ptr = connection}};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", attacker.path);
    connection->fd = open_socket();
    if (connect(connection->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(connection->fd);
        connection->fd = -1;
        return -1;
    }
    if (epoll_ctl(attacker.epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        give_up("epoll_ctl");
    connection->watches_writes = true;
    connection->stage = GREETING;
    send_next(connection, &attacker.hello);
    return 0;
}

/* Once round the list of those that are to connect, each of which connects at most once, until there is no room. */
static void connect_some(void)
{
    unsigned n = attacker.n_unconnected;
    bool has_room = true;
    attacker.n_unconnected = 0;
    for (unsigned i = 0; i < n; i++) {
        struct connection *connection = attacker.unconnected[i];
        has_room = has_room && connect_one(connection) == 0;
        if (!has_room)
            attacker.unconnected[attacker.n_unconnected++] = connection;
        else if (attacker.is_attacking && ++connection->turns % 2 == 0) {
            attacker.connects++;
            disconnect(connection);
        }
    }
}

static void attack(struct connection *connection)
{
    connection->stage = ATTACKING;
    choose(connection);
    watch(connection);
}

/* Of `reset`, the first connections open the streams, and the others wait until theirs is there. */
static void begin_attack(struct connection *connection)
{
    bool is_first = connection < attacker.connections + N_VARIANTS;
    if (attacker.kind == CONNECT) {
        attacker.connects++;
        disconnect(connection);
    } else if (attacker.kind == DEAR || (attacker.kind == RESET && is_first)) {
        connection->stage = OPENING;
        send_next(connection, &attacker.open[connection->variant]);
        watch(connection);
    } else if (attacker.kind != RESET) {
        attack(connection);
    }
}

static void greeted(struct connection *connection)
{
    connection->stage = GREETED;
    if (attacker.is_attacking) {
        begin_attack(connection);
        return;
    }
    attacker.n_waiting--;
    attacker.n_opened++;
}

/* What comes back */

/* The value of a key of the map at which the cursor stands, an unsigned integer; 0 where there is none in what was
 * kept. */
static uint64_t number_of(struct attnp_cursor cursor, const char *key)
{
    struct attnp_head map = attnp_cursor_head(&cursor);
    for (uint64_t i = 0; map.type == ATTNP_TYPE_MAP && i < map.n && !cursor.failed; i++) {
        bool is_it = attnp_cursor_string_is(&cursor, attnp_cursor_head(&cursor), key);
        struct attnp_head value = attnp_cursor_head(&cursor);
        if (is_it && value.type == ATTNP_TYPE_UINT)
            return value.n;
        attnp_cursor_skip_rest(&cursor, value);
    }
    return 0;
}

static uint64_t count_error(struct attnp_cursor map)
{
    uint64_t code = number_of(map, "code");
    attacker.errors[code < N_CODES ? code : 0]++;
    return code;
}

/* Asks again, for something smaller where the daemon does not allow such a stream at all. */
static void not_opened(struct connection *connection, uint64_t code)
{
    if (attacker.kind == DEAR && code == ATTNP_LIMIT_EXCEEDED && connection->variant + 1 < N_VARIANTS)
        connection->variant++;
    send_next(connection, &attacker.open[connection->variant]);
}

static void opened(struct connection *connection, struct attnp_cursor result)
{
    connection->stream = number_of(result, "stream");
    connection->credit = number_of(result, "credit");
    connection->output_bytes = number_of(result, "output_dim") * sizeof(float);
    connection->next = connection->settled = 0;
    if (connection->output_bytes == 0)
        give_up("the answer to open");
    attack(connection);
    for (unsigned i = connection->variant; attacker.kind == RESET && i < attacker.n; i += N_VARIANTS)
        if (attacker.connections[i].stage == GREETED)
            attack(&attacker.connections[i]);
}

static void take_response(struct connection *connection, struct attnp_cursor *cursor)
{
    uint64_t id = attnp_cursor_head(cursor).n;
    struct attnp_cursor error = *cursor;
    bool is_error = attnp_cursor_head(cursor).type != ATTNP_TYPE_NIL;
    uint64_t code = is_error ? count_error(error) : 0;
    attacker.answered += !is_error && id != ID_HELLO;
    if (id == ID_HELLO && !is_error)
        greeted(connection);
    else if (id == ID_OPEN && connection->stage == OPENING && !is_error)
        opened(connection, *cursor);
    else if (id == ID_OPEN && connection->stage == OPENING)
        not_opened(connection, code);
}

static void take_output(struct connection *connection, struct attnp_cursor *cursor)
{
    attnp_cursor_head(cursor);
    attnp_cursor_head(cursor);
    uint64_t first = attnp_cursor_head(cursor).n, n_bytes = attnp_cursor_head(cursor).n;
    if (cursor->failed || connection->output_bytes == 0)
        give_up("an output");
    attacker.outputs += n_bytes / connection->output_bytes;
    connection->settled = first + n_bytes / connection->output_bytes;
}

static void take_notification(struct connection *connection, struct attnp_cursor *cursor)
{
    struct attnp_head name = attnp_cursor_head(cursor);
    struct attnp_cursor again = *cursor;
    if (attnp_cursor_string_is(&again, name, "output"))
        take_output(connection, &again);
    else if (again = *cursor, attnp_cursor_string_is(&again, name, "error"))
        count_error(again);
    else
        attacker.events++;
}

static void take(struct connection *connection)
{
    struct attnp_cursor cursor;
    attnp_cursor_init(&cursor, connection->kept, connection->n_kept);
    attnp_cursor_head(&cursor);
    if (attnp_cursor_head(&cursor).n == 1)
        take_response(connection, &cursor);
    else
        take_notification(connection, &cursor);
}

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Takes in some of the bytes, up to the end of a message; how many. */
static size_t take_some(struct connection *connection, const uint8_t *bytes, size_t n_bytes)
{
    if (connection->n_length < 4) {
        connection->length[connection->n_length++] = *bytes;
        for (size_t i = 0; connection->n_length == 4 && i < 4; i++)
            connection->n_left = connection->n_left << 8 | connection->length[i];
        return 1;
    }
    size_t n = smaller(n_bytes, connection->n_left), n_kept = smaller(n, KEPT_BYTES - connection->n_kept);
    memcpy(connection->kept + connection->n_kept, bytes, n_kept);
    connection->n_kept += n_kept;
    connection->n_left -= n;
    if (connection->n_left == 0) {
        take(connection);
        connection->n_length = connection->n_kept = 0;
    }
    return n;
}

static void on_readable(struct connection *connection)
{
    static uint8_t bytes[256 << 10];
    ssize_t n = recv(connection->fd, bytes, sizeof(bytes), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        disconnect(connection);
        return;
    }
    for (ssize_t at = 0; at < n && connection->fd >= 0;)
        at += (ssize_t)take_some(connection, bytes + at, (size_t)(n - at));
    attacker.bytes_received += n > 0 ? (uint64_t)n : 0;
}

static void on_writable(struct connection *connection)
{
    ssize_t n = send(connection->fd, connection->piece + connection->n_sent, connection->n_piece - connection->n_sent,
                     MSG_NOSIGNAL);
    if (n < 0)
        return; /* what went wrong is seen in reading */
    connection->n_sent += (size_t)n;
    attacker.bytes_sent += (uint64_t)n;
    if (connection->n_sent == connection->n_piece) {
        attacker.sent += connection->stage >= OPENING ? connection->n_requests : 0;
        connection->piece = NULL;
    }
}

static void on_event(struct connection *connection, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(connection);
    choose(connection);
    if (connection->fd >= 0 && connection->piece != NULL)
        on_writable(connection);
    choose(connection);
    watch(connection);
}

/* The program */

/* One round of events. False once standard input has ended. */
static bool turn(void)
{
    struct epoll_event events[256];
    bool goes_on = true;
    if (attacker.n_unconnected > 0)
        connect_some();
    int n = epoll_wait(attacker.epoll, events, 256, attacker.n_unconnected > 0 ? 1 : 100);
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == NULL)
            goes_on = false;
        else if (((struct connection *)events[i].data.ptr)->fd >= 0)
            on_event(events[i].data.ptr, events[i].events);
    }
    return goes_on;
}

static double run(double seconds)
{
    double guard = now() + seconds, began = 0;
    bool goes_on = true;
    while (goes_on && attacker.n_waiting > 0 && now() < guard)
        goes_on = turn();
    printf("ready\n");
    fflush(stdout);
    began = now();
    attacker.is_attacking = true;
    for (unsigned i = 0; i < attacker.n; i++)
        if (attacker.connections[i].stage == GREETED)
            begin_attack(&attacker.connections[i]);
    while (goes_on && now() < guard)
        goes_on = turn();
    return now() - began;
}

static void prepare(void)
{
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}};
    attnp_writer_init(&attacker.writer);
    add_hello(&attacker.hello);
    for (unsigned i = 0; i < N_VARIANTS; i++)
        prepare_variant(i);
    attacker.connections = allocate(attacker.n, sizeof(*attacker.connections));
    attacker.unconnected = allocate(attacker.n, sizeof(struct connection *));
    for (unsigned i = 0; i < attacker.n; i++) {
        attacker.connections[i].fd = -1;
        attacker.connections[i].variant = attacker.kind == DEAR ? 0 : i % N_VARIANTS;
        attacker.unconnected[attacker.n_unconnected++] = &attacker.connections[i];
    }
    attacker.n_waiting = attacker.n;
    attacker.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (attacker.epoll < 0 || epoll_ctl(attacker.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
        give_up("epoll");
}

static void release(void)
{
    for (unsigned i = 0; i < attacker.n; i++)
        if (attacker.connections[i].fd >= 0)
            close(attacker.connections[i].fd);
    for (unsigned i = 0; i < N_VARIANTS; i++) {
        free(attacker.open[i].bytes);
        free(attacker.requests[i].bytes);
    }
    free(attacker.hello.bytes);
    free(attacker.connections);
    free(attacker.unconnected);
    close(attacker.epoll);
    attnp_writer_done(&attacker.writer);
}

/* Root takes as many descriptors as are needed, and becomes the user; any other user stays who it is. */
static void become(uid_t uid)
{
    struct rlimit limit;
    rlim_t needed = attacker.n + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
        limit.rlim_max = limit.rlim_max < needed ? needed : limit.rlim_max;
        limit.rlim_cur = needed;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            give_up("descriptors");
    }
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(uid) != 0 || setuid(uid) != 0))
        give_up("another user");
}

static void tell(uid_t before, double seconds)
{
    const char *comma = "";
    printf("{\"kind\": \"%s\", \"uid\": %u, \"another_uid\": %s, \"seconds\": %.3f, \"connections\": %u, \"connects\": "
           "%" PRIu64,
           kind_names[attacker.kind], (unsigned)geteuid(), geteuid() != before ? "true" : "false", seconds,
           attacker.n_opened, attacker.connects);
    printf(", \"sent\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"outputs\": %" PRIu64 ", \"events\": %" PRIu64
           ", \"ended\": %" PRIu64,
           attacker.sent, attacker.answered, attacker.outputs, attacker.events, attacker.ended);
    printf(", \"mib_sent\": %.3f, \"mib_received\": %.3f, \"errors\": {", (double)attacker.bytes_sent / (1 << 20),
           (double)attacker.bytes_received / (1 << 20));
    for (unsigned code = 0; code < N_CODES; code++)
        if (attacker.errors[code] > 0) {
            printf("%s\"%s\": %" PRIu64, comma, attnp_error_name((enum attnp_code)code), attacker.errors[code]);
            comma = ", ";
        }
    printf("}}\n");
}

/* The number that an option gives, from 1 to `most`; 0 where it is none. */
static unsigned long number(const char *text, unsigned long most)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0' && value <= most ? value : 0;
}

static enum kind kind_of(const char *name)
{
    enum kind kind = STATS;
    while (kind < N_KINDS && strcmp(name, kind_names[kind]) != 0)
        kind++;
    return kind;
}

int main(int argc, char **argv)
{
    unsigned long seconds = MOST_SECONDS, uid = NOBODY;
    uid_t before = geteuid();
    int at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--seconds") == 0)
            seconds = number(argv[at + 1], MOST_SECONDS);
        else
            uid = strcmp(argv[at], "--user") == 0 ? number(argv[at + 1], NOBODY) : 0;
    }
    attacker.kind = argc == at + 3 ? kind_of(argv[at]) : N_KINDS;
    attacker.n = argc == at + 3 ? (unsigned)number(argv[at + 1], MOST_CONNECTIONS) : 0;
    if (seconds == 0 || uid == 0 || attacker.kind == N_KINDS || attacker.n == 0) {
        fprintf(stderr, "usage: %s [--seconds 1-%d] [--user UID] KIND CONNECTIONS(1-%d) SOCKET\n", argv[0],
                MOST_SECONDS, MOST_CONNECTIONS);
        return 2;
    }
    attacker.path = argv[at + 2];
    become((uid_t)uid);
    prepare();
    tell(before, run((double)seconds));
    release();
    return 0;
}
