/* SPDX-License-Identifier: MIT */
/*
 * A frame is computed whole, and a batch of one frame that takes long keeps every other stream of the shard waiting for
 * as long. So what may take longer than SHARD_DEAR_US goes to another thread, which costs some tens of
 * microseconds more, and the groups that models gain by. Whether a stream is dear follows from what its model's dearest
 * frame costs, which is learned from many, and not from what its newest frame took: a thread that did not run for a
 * while makes any frame seem dear. Costs move all the same, so a stream may be dear when it queues up and cheap when
 * its turn comes, and the other way round: it stays in the queue in which it stands.
 *
 * A dear frame is judged by its deadline when its turn comes, as in a batch; and the answer leaves when it is computed.
 */
#include "daemon/ready.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/answers.h"
#include "daemon/batch.h"
#include "daemon/deadline.h"
#include "daemon/due.h"
#include "daemon/lend.h"

/* A dear frame, and what it is computed with. */
struct dear {
    struct loan loan;
    struct share *share; /* of whose frames it is one; the loan's work uses it */
    struct plan_frame frame;
    uint64_t position, arrived_us, took_ns;
    void *scratch; /* the stream's own, or NULL */
    void *output;  /* where the output is computed: its place in the stream may still hold an answer that is asked for
                      again; NULL: there is to be none */
    bool has_failed;
};

static void push_dear(struct loan *loan)
{
    struct dear *dear = (struct dear *)loan;
    const struct plan *plan = loan->model->plan;
    uint64_t begun_ns = uv_hrtime();
    size_t n_bytes = plan_facts(plan)->frame_scratch_bytes;
    void *made = dear->scratch == NULL ? aligned_alloc(PLAN_ALIGN, n_bytes) : NULL;
    dear->has_failed = dear->scratch == NULL && made == NULL && n_bytes > 0;
    if (!dear->has_failed)
        plan_push(plan, &dear->frame, 1, dear->scratch != NULL ? dear->scratch : made);
    free(made);
    dear->took_ns = uv_hrtime() - begun_ns;
}

static void note(struct shard *shard, const struct stream *stream, const struct answer *answer, uint64_t took_ns)
{
    if (stream->claim.load == NULL)
        admission_note_unrated(shard, took_ns);
    if (answer->kind == ANSWER_OUTPUT && !answer->warming)
        cost_note(stream->model->cost, 1, (double)took_ns);
    admission_note_away(shard, took_ns);
    batch_count(shard);
    traffic_batch(stream->traffic, 1, took_ns);
}

static void answer_frame(struct shard *shard, struct stream *stream, struct dear *dear)
{
    struct answer *answer;
    if (dear->has_failed) { /* here is memory for it in any case */
        uint64_t begun_ns = uv_hrtime();
        stream_step(&stream, 1, &answer, shard->scratch);
        dear->took_ns = uv_hrtime() - begun_ns;
    } else {
        answer = stream_end_step(stream, &dear->frame, dear->position);
    }
    note(shard, stream, answer, dear->took_ns);
    stream_note_lag(answer, shard_now_us() - dear->arrived_us);
    answers_computed(stream, answer, dear->took_ns);
}

static void compute_next(struct shard *shard, struct share *share);

static void free_dear(struct dear *dear)
{
    free(dear->output);
    free(dear);
}

static void answer_dear(struct loan *loan, struct stream *stream)
{
    struct dear *dear = (struct dear *)loan;
    struct shard *shard = loan->shard;
    struct share *share = dear->share;
    share->dear.is_away = false;
    if (stream != NULL) {
        answer_frame(shard, stream, dear);
        ready_add(shard, stream);
    }
    free_dear(dear);
    compute_next(shard, share);
}

static const struct loan_kind dear_kind = {push_dear, answer_dear, NULL};

/* False: no memory. */
static bool send_away(struct shard *shard, struct share *share, struct stream *stream)
{
    struct dear *dear = calloc(1, sizeof(*dear));
    if (dear == NULL)
        return false;
    dear->share = share;
    dear->frame = stream_begin_step(stream, &dear->position);
    if (dear->frame.output != NULL) {
        dear->output = aligned_alloc(PLAN_ALIGN, stream->output_stride);
        if (dear->output == NULL) {
            free_dear(dear);
            return false;
        }
        dear->frame.output = dear->output;
    }
    dear->arrived_us = stream_arrived_us(stream);
    dear->scratch = stream->scratch;
    share->dear.is_away = true;
    lend_state(&dear->loan, shard, share, stream, &dear_kind);
    return true;
}

static void dequeue(struct stream *stream)
{
    struct share *share = stream->ready.dear_in;
    TAILQ_REMOVE(&share->dear.ready, stream, ready.link);
    stream->ready.dear_in = NULL;
    share_leave(share);
}

/* The first stream of the user whose client reads and whose frame is worth it. */
static void compute_next(struct shard *shard, struct share *share)
{
    struct stream *stream;
    share_use(share);
    while (!share->dear.is_away && (stream = TAILQ_FIRST(&share->dear.ready)) != NULL) {
        struct connection *holder = stream->held.by;
        dequeue(stream);
        if (holder != NULL && connection_is_full(holder))
            connection_hold_back(holder);
        else if (!deadline_settle(stream, shard_now_us(), (uint64_t)cost_frame_ns(stream->model->cost, 1)))
            due_add(shard, stream);
        else if (!send_away(shard, share, stream))
            batch_add(shard, stream);
    }
    share_leave(share);
}

static bool is_dear(const struct stream *stream)
{
    return model_worst_ns(stream->model) > SHARD_DEAR_US * 1e3;
}

void ready_add(struct shard *shard, struct stream *stream)
{
    assert(shard_is_own_thread(shard));
    if (stream->batch.ready_in != NULL || stream->ready.dear_in != NULL || lend_is_out(stream) ||
        due_add(shard, stream) || stream_waiting(stream) == 0)
        return;
    if (!is_dear(stream)) {
        batch_add(shard, stream);
        return;
    }
    struct share *share = connection_share(shard, &stream->held, stream->card.uid);
    stream->ready.dear_in = share;
    TAILQ_INSERT_TAIL(&share->dear.ready, stream, ready.link);
    compute_next(shard, share);
}

void ready_remove(struct shard *shard, struct stream *stream)
{
    assert(shard_is_own_thread(shard));
    if (stream->ready.dear_in != NULL)
        dequeue(stream);
    batch_remove(shard, stream);
}
