/* SPDX-License-Identifier: MIT */
#include "daemon/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

TAILQ_HEAD(ordered, card);
LIST_HEAD(bucket, card);

struct registry {
    pthread_mutex_t mutex;
    struct users *users;
    uint64_t last_number;
    struct ordered order;                /* by number, since numbers rise */
    uint64_t secret[3 + ATTNP_MAX_NAME]; /* of the buckets of names */
    size_t mask;                         /* buckets of each table, less one: a power of two */
    struct bucket *numbers, *names;
};

/* As many buckets as streams, within what is worth having at once: chains stay short, and nothing grows later. */
static size_t bucket_count(uint64_t most_streams)
{
    size_t n = 1024;
    while (n < most_streams && n < 1 << 18)
        n *= 2;
    return n;
}

struct registry *registry_new(struct users *users)
{
    size_t n = bucket_count(users_most(users, USERS_STREAMS));
    struct registry *registry = calloc(1, sizeof(*registry));
    if (registry == NULL)
        return NULL;
    registry->numbers = calloc(n, sizeof(*registry->numbers));
    registry->names = calloc(n, sizeof(*registry->names));
    bool has_secret = getrandom(registry->secret, sizeof(registry->secret), 0) == sizeof(registry->secret);
    if (registry->numbers == NULL || registry->names == NULL || !has_secret) {
        free(registry->numbers);
        free(registry->names);
        free(registry);
        return NULL;
    }
    registry->mask = n - 1;
    registry->users = users;
    TAILQ_INIT(&registry->order);
    pthread_mutex_init(&registry->mutex, NULL);
    return registry;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    assert(TAILQ_EMPTY(&registry->order));
    pthread_mutex_destroy(&registry->mutex);
    free(registry->numbers);
    free(registry->names);
    free(registry);
}

/* Names are a user's own, and chosen by clients. Multilinear hashing with random words of this run: whatever two names
 * there are, they meet in one bucket as seldom as chance has it (Lemire and Kaser, Strongly universal string hashing is
 * fast, 2014). */
static struct bucket *names_of(struct registry *registry, uid_t uid, const char *name, size_t n_name)
{
    const uint64_t *words = registry->secret;
    uint64_t hash = words[0] + words[1] * uid + words[2] * n_name;
    for (size_t i = 0; i < n_name; i++)
        hash += words[3 + i] * (unsigned char)name[i];
    return &registry->names[hash >> 32 & registry->mask];
}

static struct card *by_name(struct registry *registry, uid_t uid, const char *name, size_t n_name)
{
    struct card *card;
    LIST_FOREACH(card, names_of(registry, uid, name, n_name), in_names)
    if (card->uid == uid && strlen(card->name) == n_name && memcmp(card->name, name, n_name) == 0)
        return card;
    return NULL;
}

static struct card *by_number(struct registry *registry, uint64_t number)
{
    struct card *card;
    LIST_FOREACH(card, &registry->numbers[number & registry->mask], in_numbers)
    if (card->number == number)
        return card;
    return NULL;
}

/* Takes what the stream needs of its user. */
static int admit(struct registry *registry, uid_t uid, const char *name, size_t n_name, uint64_t bytes,
                 struct attnp_error *error)
{
    if (n_name > 0 && by_name(registry, uid, name, n_name) != NULL)
        return attnp_fail(error, ATTNP_STREAM_EXISTS,
                          "a stream named '%.*s' is open; attach to it, close it or choose another name", (int)n_name,
                          name);
    if (users_charge(registry->users, uid, USERS_STREAMS, 1, error) != 0)
        return -1;
    if (users_charge(registry->users, uid, USERS_STATE_BYTES, bytes, error) == 0)
        return 0;
    users_discharge(registry->users, uid, USERS_STREAMS, 1);
    return -1;
}

static void give_back(struct registry *registry, uid_t uid, uint64_t bytes)
{
    users_discharge(registry->users, uid, USERS_STATE_BYTES, bytes);
    users_discharge(registry->users, uid, USERS_STREAMS, 1);
}

int registry_check(struct registry *registry, uid_t uid, const char *name, size_t n_name, uint64_t bytes,
                   struct attnp_error *error)
{
    pthread_mutex_lock(&registry->mutex);
    int status = admit(registry, uid, name, n_name, bytes, error);
    if (status == 0)
        give_back(registry, uid, bytes);
    pthread_mutex_unlock(&registry->mutex);
    return status;
}

int registry_add(struct registry *registry, struct card *card, unsigned shard, uint64_t connection,
                 struct attnp_error *error)
{
    pthread_mutex_lock(&registry->mutex);
    int status = admit(registry, card->uid, card->name, strlen(card->name), card->bytes, error);
    if (status == 0) {
        card->number = ++registry->last_number;
        card->shard = shard;
        card->connection = connection;
        TAILQ_INSERT_TAIL(&registry->order, card, in_order);
        LIST_INSERT_HEAD(&registry->numbers[card->number & registry->mask], card, in_numbers);
        if (card->name[0] != '\0')
            LIST_INSERT_HEAD(names_of(registry, card->uid, card->name, strlen(card->name)), card, in_names);
    }
    pthread_mutex_unlock(&registry->mutex);
    return status;
}

void registry_remove(struct registry *registry, struct card *card)
{
    pthread_mutex_lock(&registry->mutex);
    assert(by_number(registry, card->number) == card);
    give_back(registry, card->uid, card->bytes - card->parted_bytes);
    TAILQ_REMOVE(&registry->order, card, in_order);
    LIST_REMOVE(card, in_numbers);
    if (card->name[0] != '\0')
        LIST_REMOVE(card, in_names);
    pthread_mutex_unlock(&registry->mutex);
}

void registry_part(struct registry *registry, struct card *card, uint64_t bytes)
{
    pthread_mutex_lock(&registry->mutex);
    assert(card->bytes - card->parted_bytes >= bytes);
    card->parted_bytes += bytes;
    pthread_mutex_unlock(&registry->mutex);
}

struct card *registry_find(struct registry *registry, uint64_t number, unsigned shard, int *elsewhere)
{
    pthread_mutex_lock(&registry->mutex);
    struct card *card = by_number(registry, number);
    bool is_here = card != NULL && card->shard == shard;
    if (elsewhere != NULL)
        *elsewhere = card != NULL && !is_here ? (int)card->shard : -1;
    pthread_mutex_unlock(&registry->mutex);
    return is_here ? card : NULL;
}

void registry_move(struct registry *registry, struct card *card, unsigned shard, uint64_t connection,
                   const struct registry_moved *moved)
{
    pthread_mutex_lock(&registry->mutex);
    assert(by_number(registry, card->number) == card);
    card->shard = shard;
    card->connection = connection;
    if (moved != NULL)
        moved->then(moved->argument);
    pthread_mutex_unlock(&registry->mutex);
}

static uint64_t load(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void copy_card(struct card_view *view, const struct card *card)
{
    *view = (struct card_view){
        .number = card->number,
        .uid = card->uid,
        .shard = card->shard,
        .connection = card->connection,
        .bytes = card->bytes,
        .input_dim = card->input_dim,
        .output_dim = card->output_dim,
        .credit = card->credit,
        .warming_frames = card->warming_frames,
        .terms = card->terms,
        .cost_us = card->cost != NULL ? cost_us(card->cost) : 0,
        .cost_us_batched = card->cost != NULL ? cost_us_batched(card->cost) : 0,
        .opened_us = card->opened_us,
        .next_frame = load(&card->next_frame),
        .settled = load(&card->settled),
        .position = load(&card->position),
        .frames = load(&card->frames),
        .outputs = load(&card->outputs),
        .refused = load(&card->refused),
        .dropped = load(&card->dropped),
        .skipped = load(&card->skipped),
        .missed = load(&card->missed),
        .lag_us = load(&card->lag_us),
        .computing_ns = load(&card->computing_ns),
        .bytes_in = load(&card->bytes_in),
        .bytes_out = load(&card->bytes_out),
        .active_us = load(&card->active_us),
        .oldest_us = load(&card->oldest_us),
        .parked_us = load(&card->parked_us),
    };
    memcpy(view->name, card->name, sizeof(view->name));
    memcpy(view->model, card->model, sizeof(view->model));
}

static struct card *find_target(struct registry *registry, const struct attnp_target *target, uid_t uid,
                                bool is_operator)
{
    struct card *card;
    if (!target->by_name)
        return by_number(registry, target->stream);
    card = by_name(registry, uid, target->name.data, target->name.n);
    if (card != NULL || !is_operator)
        return card;
    TAILQ_FOREACH(card, &registry->order, in_order)
    if (strlen(card->name) == target->name.n && memcmp(card->name, target->name.data, target->name.n) == 0)
        return card;
    return NULL;
}

int registry_look(struct registry *registry, const struct attnp_target *target, uid_t uid, bool is_operator,
                  struct card_view *view, struct attnp_error *error)
{
    int status = 0;
    pthread_mutex_lock(&registry->mutex);
    const struct card *card = find_target(registry, target, uid, is_operator);
    if (card == NULL && target->by_name)
        status = attnp_fail(error, ATTNP_UNKNOWN_STREAM, "there is no stream named '%.*s' of yours",
                            (int)target->name.n, target->name.data);
    else if (card == NULL)
        status = attnp_fail(error, ATTNP_UNKNOWN_STREAM, "there is no stream %ju; it ended, or never was",
                            (uintmax_t)target->stream);
    else if (card->uid != uid && !is_operator)
        status = attnp_fail(error, ATTNP_DENIED, "stream %ju belongs to another user", (uintmax_t)card->number);
    else
        copy_card(view, card);
    pthread_mutex_unlock(&registry->mutex);
    return status;
}

size_t registry_list(struct registry *registry, uint64_t after, uid_t uid, bool is_operator, struct card_view *views,
                     size_t n_views, bool *more)
{
    size_t n = 0;
    *more = false;
    pthread_mutex_lock(&registry->mutex);
    struct card *card = by_number(registry, after); /* or it has ended, and its place is looked for from the first on */
    for (card = card != NULL ? card : TAILQ_FIRST(&registry->order); card != NULL; card = TAILQ_NEXT(card, in_order)) {
        if (card->number <= after || (card->uid != uid && !is_operator))
            continue;
        *more = n == n_views;
        if (*more)
            break;
        copy_card(&views[n++], card);
    }
    pthread_mutex_unlock(&registry->mutex);
    return n;
}

void registry_totals(struct registry *registry, uint64_t *n_streams, uint64_t *bytes, uint64_t *most_streams,
                     uint64_t *most_bytes)
{
    *n_streams = users_total(registry->users, USERS_STREAMS);
    *bytes = users_total(registry->users, USERS_STATE_BYTES);
    *most_streams = users_most(registry->users, USERS_STREAMS);
    *most_bytes = users_most(registry->users, USERS_STATE_BYTES);
}
