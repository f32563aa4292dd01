/* SPDX-License-Identifier: MIT */
/*
 * Each user has a queue of streams, not of frames: a stream that has computed one frame and has another goes to the
 * end, so a stream with a full credit delays no other by more than one frame. Of several users, the one of whose frames
 * the least was computed comes first: users who have something to compute share the time equally, whatever their frames
 * cost and however many streams they have. No timer waits for a batch to fill. The idle handle keeps
 * the loop from blocking in its poll while anything is queued.
 *
 * Streams of one model that wait at the same time are computed together, for its weights are then read once; which of
 * them stand together changes no bit of an output. More together than the caches hold cost more a frame again, so a
 * group is as large as is cheapest (cost.h), and a batch has several. A raw attention has no weights, and is computed
 * alone.
 *
 * A batch is bounded by what its groups are expected to take, not by what they took: it ends before the group that
 * would not fit. Its answers are handed out when all of it is computed, which is when they leave: so a lag is what the
 * client sees.
 */
#include "daemon/batch.h"

#include <assert.h>

#include "daemon/answers.h"
#include "daemon/deadline.h"
#include "daemon/due.h"
#include "daemon/lend.h"

#define BATCH_NS (SHARD_BATCH_US * 1000)

/* So many streams behind the first are looked through for others of its model. */
#define BATCH_LOOK 256

void batch_start(struct shard *shard)
{
    TAILQ_INIT(&shard->batch.users);
}

/* A user who had nothing computed for a while has saved up nothing. */
static void add_user(struct shard *shard, struct share *share)
{
    if (share->batch.computed_ns < shard->batch.clock_ns)
        share->batch.computed_ns = shard->batch.clock_ns;
    TAILQ_INSERT_TAIL(&shard->batch.users, share, batch.link);
}

void batch_add(struct shard *shard, struct stream *stream)
{
    assert(shard_is_own_thread(shard));
    assert(stream->batch.answer == NULL); /* a batch ends before anything else happens to its streams */
    assert(!due_is(stream));              /* the request comes first */
    if (stream->batch.ready_in != NULL || lend_is_out(stream) || stream_waiting(stream) == 0)
        return;
    struct share *share = connection_share(shard, &stream->held, stream->card.uid);
    if (TAILQ_EMPTY(&share->batch.ready))
        add_user(shard, share);
    TAILQ_INSERT_TAIL(&share->batch.ready, stream, batch.link);
    shard->batch.n_ready++;
    stream->batch.ready_in = share;
    shard_stay_busy(shard);
}

/* The user is the caller's to leave. */
static struct share *dequeue(struct shard *shard, struct stream *stream)
{
    struct share *share = stream->batch.ready_in;
    assert(share != NULL && shard->batch.n_ready > 0);
    TAILQ_REMOVE(&share->batch.ready, stream, batch.link);
    if (TAILQ_EMPTY(&share->batch.ready))
        TAILQ_REMOVE(&shard->batch.users, share, batch.link);
    shard->batch.n_ready--;
    stream->batch.ready_in = NULL;
    return share;
}

void batch_remove(struct shard *shard, struct stream *stream)
{
    assert(shard_is_own_thread(shard));
    assert(stream->batch.answer == NULL); /* no stream ends or moves while a batch has its frame */
    if (stream->batch.ready_in == NULL)
        return;
    share_leave(dequeue(shard, stream));
    shard_stay_busy(shard);
}

/* The user of whose frames the least was computed; NULL: nobody has any. */
static struct share *next_user(const struct shard *shard)
{
    struct share *share, *next = NULL;
    TAILQ_FOREACH(share, &shard->batch.users, batch.link)
    if (next == NULL || share->batch.computed_ns < next->batch.computed_ns)
        next = share;
    return next;
}

/* Each stream stands in one batch once: it queues up again when the batch is answered. */
struct batch {
    uint64_t now_ns, until_ns;
    uint64_t n_bytes, most_bytes; /* of outputs: all may be for one client that reads nothing */
    struct streams computed;
};

/* Streams of one plan whose frames are computed together. */
struct group {
    struct stream *streams[PLAN_MOST_AT_ONCE];
    struct share *shares[PLAN_MOST_AT_ONCE]; /* their users', used */
    size_t n;
};

/* What n frames of this stream's kind take together: as its cost says, or else as its newest frame did. */
static double group_ns(const struct stream *stream, size_t n)
{
    double each_ns = cost_frame_ns(stream->model->cost, n);
    return (double)n * (each_ns > 0 ? each_ns : (double)stream->batch.step_ns);
}

static double left_ns(const struct batch *batch)
{
    return batch->now_ns < batch->until_ns ? (double)(batch->until_ns - batch->now_ns) : 0;
}

/* How long it is until the stream's answer leaves, which is at the end of the batch: when its group is computed at the
 * earliest, and else when all that wait are, as if they were like it, or the batch's time is over. */
static double ahead_ns(const struct shard *shard, const struct batch *batch, const struct group *group,
                       const struct stream *stream)
{
    double own = group_ns(stream, group->n + 1), left = left_ns(batch);
    size_t together = cost_best(stream->model->cost, PLAN_MOST_AT_ONCE);
    double all = own + (double)shard->batch.n_ready * group_ns(stream, together) / (double)together;
    return all < left ? all : left > own ? left : own;
}

/* How many frames like this stream's are computed together: the number that costs the least a frame, as far as it fits
 * what is left of the batch's time; 0: not one does. */
static size_t room(const struct batch *batch, const struct stream *stream)
{
    size_t n = model_is_attention(stream->model) ? 1 : cost_best(stream->model->cost, PLAN_MOST_AT_ONCE);
    while (n > 0 && group_ns(stream, n) > left_ns(batch))
        n /= 2;
    return n > 0 || !TAILQ_EMPTY(&batch->computed) ? n : 1;
}

/* Takes a stream out of the queue, and into the group unless its client reads nothing or nothing is to be computed now.
 */
static void take(struct shard *shard, const struct batch *batch, struct group *group, struct stream *stream)
{
    struct connection *holder = stream->held.by;
    assert(stream_waiting(stream) > 0); /* nothing settles the frames of a stream that stands in the queue */
    struct share *share = dequeue(shard, stream);
    if (holder != NULL && connection_is_full(holder)) {
        connection_hold_back(holder);
    } else if (deadline_settle(stream, batch->now_ns / 1000, (uint64_t)ahead_ns(shard, batch, group, stream))) {
        group->shares[group->n] = share_use(share);
        group->streams[group->n++] = stream;
    } else {
        due_add(shard, stream);
    }
    share_leave(share);
}

/* What a gathering looks for, and how far. */
struct search {
    const struct plan *plan;
    size_t most, looked;
};

/* Takes this user's streams of the plan, as far as their outputs still fit. False: no more is to be looked for. */
static bool gather_of(struct shard *shard, struct batch *batch, struct group *group, struct search *search,
                      struct share *share)
{
    struct stream *stream, *next;
    for (stream = TAILQ_FIRST(&share->batch.ready); stream != NULL; stream = next) {
        next = TAILQ_NEXT(stream, batch.link);
        if (search->looked++ >= BATCH_LOOK || group->n >= search->most)
            return false;
        if (stream->plan != search->plan)
            continue;
        batch->n_bytes += answers_bytes(stream->output_bytes);
        if (batch->n_bytes > batch->most_bytes && group->n > 0)
            return false;
        take(shard, batch, group, stream);
    }
    return true;
}

/* Takes the first stream of the user whose turn it is, and those of its model behind it and of other users. */
static void gather(struct shard *shard, struct batch *batch, struct group *group, struct share *first, size_t most)
{
    struct search search = {.plan = TAILQ_FIRST(&first->batch.ready)->plan, .most = most};
    struct share *share, *next;
    group->n = 0;
    shard->batch.clock_ns = first->batch.computed_ns;
    bool goes_on = gather_of(shard, batch, group, &search, first);
    for (share = TAILQ_FIRST(&shard->batch.users); goes_on && share != NULL; share = next) {
        next = TAILQ_NEXT(share, batch.link); /* a user without streams leaves the list */
        goes_on = share == first || gather_of(shard, batch, group, &search, share);
    }
}

/* What the group took says what the next will; but a window that is not full takes less than it will, and so does a
 * frame whose output is skipped. */
static void note(struct shard *shard, const struct group *group, struct answer *const *answers, uint64_t each_ns)
{
    bool is_typical = true;
    for (size_t i = 0; i < group->n; i++) {
        is_typical = is_typical && answers[i]->kind == ANSWER_OUTPUT && !answers[i]->warming;
        if (group->streams[i]->claim.load == NULL)
            admission_note_unrated(shard, each_ns);
    }
    if (is_typical)
        cost_note(group->streams[0]->model->cost, group->n, (double)each_ns);
}

static void compute(struct shard *shard, struct batch *batch, const struct group *group)
{
    struct answer *answers[PLAN_MOST_AT_ONCE];
    uint64_t arrived_us[PLAN_MOST_AT_ONCE], begun_ns = uv_hrtime();
    for (size_t i = 0; i < group->n; i++) {
        assert(group->streams[i]->batch.answer == NULL); /* each stream stands in a batch once */
        assert(!due_is(group->streams[i]));              /* the request comes before this frame */
        arrived_us[i] = stream_arrived_us(group->streams[i]);
    }
    stream_step(group->streams, group->n, answers, shard->scratch);
    batch->now_ns = uv_hrtime();
    uint64_t took_ns = batch->now_ns - begun_ns, each_ns = took_ns / group->n;
    note(shard, group, answers, each_ns);
    traffic_batch(group->streams[0]->traffic, group->n, took_ns);
    for (size_t i = 0; i < group->n; i++) {
        struct stream *stream = group->streams[i];
        group->shares[i]->batch.computed_ns += each_ns;
        share_leave(group->shares[i]);
        stream->batch.step_ns = each_ns;
        stream->batch.answer = answers[i];
        stream->batch.arrived_us = arrived_us[i];
        TAILQ_INSERT_TAIL(&batch->computed, stream, batch.link);
    }
}

/* Hands the answers out. Streams queue up again, but for those that a request is due for: these come first to
 * pending.c.
 */
static void answer_all(struct shard *shard, struct batch *batch)
{
    uint64_t now_us = batch->now_ns / 1000;
    while (!TAILQ_EMPTY(&batch->computed)) {
        struct stream *stream = TAILQ_FIRST(&batch->computed);
        struct answer *answer = stream->batch.answer;
        TAILQ_REMOVE(&batch->computed, stream, batch.link);
        stream->batch.answer = NULL;
        stream_note_lag(answer, now_us - stream->batch.arrived_us);
        answers_computed(stream, answer, stream->batch.step_ns);
        if (!due_add(shard, stream))
            batch_add(shard, stream);
    }
}

void batch_count(struct shard *shard)
{
    counters_add(&shard->counters.batches, 1);
}

static void run(struct shard *shard)
{
    struct batch batch = {.most_bytes = config_number(shard->shared->config, CONFIG_limits_unsent_bytes)};
    TAILQ_INIT(&batch.computed);
    batch.now_ns = uv_hrtime();
    batch.until_ns = batch.now_ns + BATCH_NS;
    batch_count(shard);
    struct share *user;
    while ((user = next_user(shard)) != NULL && (batch.n_bytes <= batch.most_bytes || TAILQ_EMPTY(&batch.computed))) {
        struct group group;
        size_t most = room(&batch, TAILQ_FIRST(&user->batch.ready));
        if (most == 0)
            break;
        gather(shard, &batch, &group, user, most);
        if (group.n > 0)
            compute(shard, &batch, &group);
    }
    answer_all(shard, &batch);
    shard_stay_busy(shard);
}

/* The time is kept, not the wait: a reader that looks while a long batch is computed sees the wait grow. */
static void note_oldest(struct shard *shard)
{
    const struct share *user = next_user(shard);
    counters_set(&shard->batch.oldest_us, user != NULL ? stream_oldest_us(TAILQ_FIRST(&user->batch.ready)) : 0);
}

void batch_run(struct shard *shard)
{
    assert(shard_is_own_thread(shard));
    note_oldest(shard);
    if (shard->batch.n_ready == 0)
        return;
    run(shard);
    note_oldest(shard);
}
