/* SPDX-License-Identifier: MIT */
/*
 * One table under one mutex: uid to counts. A user has an entry as long as any of its counts is above zero, so the
 * table is as long as there are users about, and no uid leaves a trace.
 *
 * A limit for one user that is 0 is not none: one user then may take all but a sixteenth, so that it cannot lock others
 * out, while the one service account that most machines have is hardly bounded. Operators are bound by what is written
 * alone.
 *
 * What is not counted here is bounded elsewhere, and needs no count:
 * - frames: by the credit of each stream, whose rings are state bytes;
 * - messages a client sends: they are handled in place, in turns (connection.c), and it is not read while its answers
 *   wait, so a flood of them takes its own share of a shard's time and no memory;
 * - what they are answered with: one push is answered with at most `credit` outputs and two errors, a request with one
 *   message, and the outbox is looked at between two messages;
 * - requests for a stream of another shard travel as mail, and are waiting requests from there on;
 * - clients that are turned away: they are told, closed, and leave nothing.
 */
#include "daemon/users.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#define N_BUCKETS 256

struct user {
    LIST_ENTRY(user) link;
    uid_t uid;
    uint64_t counts[N_USERS_WHAT];
};

LIST_HEAD(bucket, user);

struct users {
    pthread_mutex_t mutex;
    const struct config *config;
    uid_t daemon_uid;
    uint64_t memory_bytes, most_connections, totals[N_USERS_WHAT];
    uint64_t model_bytes; /* taken of state_bytes in all, by nobody */
    struct bucket buckets[N_BUCKETS];
};

static const struct limit {
    enum config_key in_all, per_user;
    enum attnp_code code;
    bool is_bytes;
    const char *key;    /* of the limit in all; with "_per_user" behind it, of that for one user */
    const char *what;   /* "5 streams are open", "the stream needs 5 bytes" */
    const char *remedy; /* what to do besides raising the limit */
    uint64_t operators; /* may take so much more */
    uint64_t share;     /* of the memory, where the limit in all is 0: one part of so many */
} limits[] = {
    [USERS_CONNECTIONS] = {CONFIG_limits_connections, CONFIG_limits_connections_per_user, ATTNP_SERVER_FULL, false,
                           "connections", "connections are open", "close some", USERS_OPERATOR_CONNECTIONS, 1},
    [USERS_STREAMS] = {CONFIG_limits_streams, CONFIG_limits_streams_per_user, ATTNP_OVER_CAPACITY, false, "streams",
                       "streams are open", "close some", 0, 1},
    [USERS_STATE_BYTES] = {CONFIG_limits_state_bytes, CONFIG_limits_state_bytes_per_user, ATTNP_OVER_CAPACITY, true,
                           "state_bytes", "the stream", "close streams", 0, 2},
    [USERS_BUFFER_BYTES] = {CONFIG_limits_buffer_bytes, CONFIG_limits_buffer_bytes_per_user, ATTNP_LIMIT_EXCEEDED, true,
                            "buffer_bytes", "a buffer", "read outputs while pushing", USERS_OPERATOR_BYTES, 8},
    [USERS_WAITING_REQUESTS] = {CONFIG_limits_waiting_requests, CONFIG_limits_waiting_requests_per_user,
                                ATTNP_LIMIT_EXCEEDED, false, "waiting_requests", "requests wait for their turn",
                                "wait for their responses", USERS_OPERATOR_REQUESTS, 1},
};

struct users *users_new(const struct config *config, uid_t daemon_uid, uint64_t memory_bytes)
{
    struct users *users = calloc(1, sizeof(*users));
    if (users == NULL)
        return NULL;
    users->config = config;
    users->daemon_uid = daemon_uid;
    users->memory_bytes = memory_bytes;
    users->most_connections = UINT64_MAX;
    pthread_mutex_init(&users->mutex, NULL);
    return users;
}

void users_free(struct users *users)
{
    if (users == NULL)
        return;
    assert(users->model_bytes == 0);
    for (size_t i = 0; i < N_BUCKETS; i++)
        assert(LIST_EMPTY(&users->buckets[i])); /* something ended and did not give back what it took */
    pthread_mutex_destroy(&users->mutex);
    free(users);
}

void users_bound_connections(struct users *users, uint64_t most)
{
    pthread_mutex_lock(&users->mutex);
    users->most_connections = most;
    pthread_mutex_unlock(&users->mutex);
}

static struct bucket *bucket_of(struct users *users, uid_t uid)
{
    return &users->buckets[uid % N_BUCKETS];
}

static struct user *find(struct users *users, uid_t uid)
{
    struct user *user;
    LIST_FOREACH(user, bucket_of(users, uid), link)
    if (user->uid == uid)
        return user;
    return NULL;
}

static struct user *find_or_add(struct users *users, uid_t uid)
{
    struct user *user = find(users, uid);
    if (user != NULL)
        return user;
    user = calloc(1, sizeof(*user));
    if (user != NULL) {
        user->uid = uid;
        LIST_INSERT_HEAD(bucket_of(users, uid), user, link);
    }
    return user;
}

static void forget_idle(struct user *user)
{
    for (int what = 0; what < N_USERS_WHAT; what++)
        if (user->counts[what] != 0)
            return;
    LIST_REMOVE(user, link);
    free(user);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most_in_all(const struct users *users, enum users_what what)
{
    uint64_t most = config_number(users->config, limits[what].in_all);
    if (most == 0)
        most = users->memory_bytes / limits[what].share;
    return what == USERS_CONNECTIONS ? smaller(most, users->most_connections) : most;
}

bool users_is_operator(const struct users *users, uid_t uid)
{
    return uid == 0 || uid == users->daemon_uid;
}

static uint64_t most_of_one(const struct users *users, enum users_what what, bool is_operator)
{
    uint64_t most = config_number(users->config, limits[what].per_user), all = most_in_all(users, what);
    if (most != 0)
        return most;
    return is_operator ? all : all - all / 16;
}

/* A limit that was met: whose, and how much of it is taken. */
struct met {
    bool in_all;
    uid_t uid;
    uint64_t taken, most;
    uint64_t model_bytes; /* in what is taken */
};

static int refuse(const struct met *met, enum users_what what, uint64_t n, struct attnp_error *error)
{
    const struct limit *limit = &limits[what];
    const char *key = limit->key;
    uintmax_t left = met->taken < met->most ? met->most - met->taken : 0;
    char beside[64] = "";
    if (met->model_bytes != 0)
        snprintf(beside, sizeof(beside), " beside models, which take %ju", (uintmax_t)met->model_bytes);
    if (limit->is_bytes && met->in_all)
        return attnp_fail(error, limit->code,
                          "%s needs %ju bytes, and %ju of %ju are left%s; %s, or raise %s in [limits]", limit->what,
                          (uintmax_t)n, left, (uintmax_t)met->most, beside, limit->remedy, key);
    if (limit->is_bytes)
        return attnp_fail(error, limit->code,
                          "%s needs %ju bytes, and user %u has %ju of %ju left; %s, or raise %s_per_user in [limits]",
                          limit->what, (uintmax_t)n, (unsigned)met->uid, left, (uintmax_t)met->most, limit->remedy,
                          key);
    if (met->in_all)
        return attnp_fail(error, limit->code, "%ju %s, which is the limit of %ju; %s, or raise %s in [limits]",
                          (uintmax_t)met->taken, limit->what, (uintmax_t)met->most, limit->remedy, key);
    return attnp_fail(
        error, limit->code,
        "%ju %s for user %u, which is the limit of %ju for one user; %s, or raise %s_per_user in [limits]",
        (uintmax_t)met->taken, limit->what, (unsigned)met->uid, (uintmax_t)met->most, limit->remedy, key);
}

static bool is_above(const struct met *met, uint64_t n)
{
    return met->taken > met->most || n > met->most - met->taken;
}

static int check(const struct users *users, const struct user *user, enum users_what what, uint64_t n,
                 struct attnp_error *error)
{
    bool is_operator = users_is_operator(users, user->uid);
    uint64_t extra = is_operator ? limits[what].operators : 0;
    uint64_t model_bytes = what == USERS_STATE_BYTES ? users->model_bytes : 0;
    struct met own = {false, user->uid, user->counts[what], most_of_one(users, what, is_operator) + extra, 0};
    struct met all = {true, user->uid, users->totals[what] + model_bytes, most_in_all(users, what) + extra,
                      model_bytes};
    if (is_above(&all, n))
        return refuse(&all, what, n, error);
    return is_above(&own, n) ? refuse(&own, what, n, error) : 0;
}

static void add(struct users *users, struct user *user, enum users_what what, uint64_t n)
{
    user->counts[what] += n;
    users->totals[what] += n;
}

int users_charge(struct users *users, uid_t uid, enum users_what what, uint64_t n, struct attnp_error *error)
{
    int status;
    pthread_mutex_lock(&users->mutex);
    struct user *user = find_or_add(users, uid);
    if (user == NULL) {
        status =
            attnp_fail(error, ATTNP_NO_MEMORY, "no memory to count what user %u takes; try again later", (unsigned)uid);
    } else {
        status = check(users, user, what, n, error);
        if (status == 0)
            add(users, user, what, n);
        forget_idle(user);
    }
    pthread_mutex_unlock(&users->mutex);
    return status;
}

void users_charge_anyway(struct users *users, uid_t uid, enum users_what what, uint64_t n)
{
    pthread_mutex_lock(&users->mutex);
    struct user *user = find(users, uid);
    assert(user != NULL);
    add(users, user, what, n);
    pthread_mutex_unlock(&users->mutex);
}

void users_discharge(struct users *users, uid_t uid, enum users_what what, uint64_t n)
{
    pthread_mutex_lock(&users->mutex);
    struct user *user = find(users, uid);
    assert(n == 0 || (user != NULL && user->counts[what] >= n));
    if (user != NULL) {
        add(users, user, what, -n);
        forget_idle(user);
    }
    pthread_mutex_unlock(&users->mutex);
}

int users_hold_model(struct users *users, uint64_t n_bytes, char *why, size_t n_why)
{
    pthread_mutex_lock(&users->mutex);
    uint64_t most = most_in_all(users, USERS_STATE_BYTES);
    uint64_t taken = users->totals[USERS_STATE_BYTES] + users->model_bytes;
    bool is_held = taken <= most && n_bytes <= most - taken;
    if (is_held)
        users->model_bytes += n_bytes;
    else
        snprintf(why, n_why,
                 "it takes %ju bytes, and %ju of %ju are left beside other models, which take %ju, and streams; raise "
                 "state_bytes in [limits]",
                 (uintmax_t)n_bytes, (uintmax_t)(taken < most ? most - taken : 0), (uintmax_t)most,
                 (uintmax_t)users->model_bytes);
    pthread_mutex_unlock(&users->mutex);
    return is_held ? 0 : -1;
}

void users_release_model(struct users *users, uint64_t n_bytes)
{
    pthread_mutex_lock(&users->mutex);
    assert(users->model_bytes >= n_bytes);
    users->model_bytes -= n_bytes;
    pthread_mutex_unlock(&users->mutex);
}

uint64_t users_total(struct users *users, enum users_what what)
{
    pthread_mutex_lock(&users->mutex);
    uint64_t n = users->totals[what];
    pthread_mutex_unlock(&users->mutex);
    return n;
}

uint64_t users_count(struct users *users, uid_t uid, enum users_what what)
{
    pthread_mutex_lock(&users->mutex);
    const struct user *user = find(users, uid);
    uint64_t n = user != NULL ? user->counts[what] : 0;
    pthread_mutex_unlock(&users->mutex);
    return n;
}

uint64_t users_most(struct users *users, enum users_what what)
{
    pthread_mutex_lock(&users->mutex);
    uint64_t most = most_in_all(users, what);
    pthread_mutex_unlock(&users->mutex);
    return most;
}
