/* SPDX-License-Identifier: MIT */
#include <config.h>

/*
 * Frames settle in order of number, at most `credit` wait, and at most `credit` answers are kept. So two rings of
 * `credit` slots do, indexed by number % credit: a waiting frame [settled, next) and a kept answer [settled - credit,
 * settled) never meet another of their kind in a slot. Frames are copied in because a message's bytes are unaligned and
 * the read buffer is reused. Their ring begins anew at its first slot whenever no other frame waits, so that a stream
 * that keeps up with its client uses one slot, which stays in the cache, and not all in turn. Outputs are computed in
 * place in the ring, from where they are copied into the message, now and for any repeat.
 */
#include "daemon/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char stream_late[] = "late", stream_replay[] = "replay", stream_not_finite[] = "not_finite";

static size_t aligned(size_t n_bytes)
{
    return (n_bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
}

size_t stream_block_bytes(const struct plan *plan, enum attnp_output_kind kind, uint32_t credit)
{
    const struct plan_facts *facts = plan_facts(plan);
    size_t rings, records = aligned(credit * sizeof(struct waiting)) + aligned(credit * sizeof(struct answer)), total;
    size_t slot = aligned((size_t)facts->input_dim * sizeof(float)) +
                  aligned((size_t)plan_output_dim(plan, kind) * sizeof(float));
    size_t fixed = facts->state_bytes + facts->own_scratch_bytes; /* the library allows 1 GiB of each */
    if (__builtin_mul_overflow(slot, (size_t)credit, &rings) || __builtin_add_overflow(rings, records, &rings) ||
        __builtin_add_overflow(rings, fixed, &total) || total > PTRDIFF_MAX)
        return 0;
    return total;
}

struct stream *stream_new(const struct stream_shape *shape)
{
    const struct plan *plan = shape->model->plan;
    struct stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    stream->model = model_use(shape->model);
    stream->plan = plan;
    stream->kind = shape->kind;
    stream->first_position = shape->position;
    stream->frame_bytes = (size_t)plan_facts(plan)->input_dim * sizeof(float);
    stream->output_bytes = (size_t)plan_output_dim(plan, shape->kind) * sizeof(float);
    stream->frame_stride = aligned(stream->frame_bytes);
    stream->output_stride = aligned(stream->output_bytes);
    stream->card.bytes = stream_block_bytes(plan, shape->kind, shape->credit) + plan_facts(plan)->landmark_bytes;
    stream->card.input_dim = plan_facts(plan)->input_dim;
    stream->card.output_dim = plan_output_dim(plan, shape->kind);
    stream->card.credit = shape->credit;
    stream->card.warming_frames = plan_facts(plan)->warming_frames;
    stream->card.cost = shape->model->cost;
    attnp_sequence_init(&stream->sequence, shape->first_frame, shape->credit);
    counters_set(&stream->card.next_frame, shape->first_frame);
    counters_set(&stream->card.settled, shape->first_frame);
    counters_set(&stream->card.position, shape->position);
    return stream;
}

/* In builds that look for mistakes, memory that no stream has written, or that a stream has left, reads as NaN. */
static void poison(void *block, size_t n_bytes)
{
#ifdef ATTND_POISON
    memset(block, 0xff, n_bytes);
#else
    (void)block, (void)n_bytes;
#endif
}

static size_t block_bytes(const struct stream *stream)
{
    return stream_block_bytes(stream->plan, stream->kind, stream->sequence.credit);
}

int stream_start(struct stream *stream)
{
    uint32_t credit = stream->sequence.credit;
    stream->block = aligned_alloc(PLAN_ALIGN, block_bytes(stream));
    if (stream->block == NULL)
        return -1;
    poison(stream->block, block_bytes(stream));
    const struct plan_facts *facts = plan_facts(stream->plan);
    uint8_t *place = stream->block;
    plan_start(stream->plan, place, stream->first_position);
    stream->state = place;
    place += facts->state_bytes;
    stream->scratch = facts->own_scratch_bytes > 0 ? place : NULL;
    stream->frames = place += facts->own_scratch_bytes;
    stream->outputs = place += credit * stream->frame_stride;
    stream->waiting = (struct waiting *)(void *)(place += credit * stream->output_stride);
    stream->answers = (struct answer *)(void *)(place + aligned(credit * sizeof(struct waiting)));
    return 0;
}

void stream_count_in(struct stream *stream, struct traffic *traffic)
{
    traffic_move(stream->traffic, traffic);
    stream->traffic = traffic;
}

void *stream_take_block(struct stream *stream, size_t *n_bytes)
{
    void *block = stream->block;
    *n_bytes = block_bytes(stream);
    if (block != NULL && stream->lend.loan == NULL) /* or another thread writes there */
        poison(block, *n_bytes);
    stream->block = NULL;
    return block;
}

void stream_free(struct stream *stream)
{
    size_t n_bytes;
    if (stream == NULL)
        return;
    assert(stream->pending.n == 0 && stream->held.by == NULL && stream->claim.load == NULL);
    assert(stream->batch.ready_in == NULL && stream->ready.dear_in == NULL && !stream->due.is_listed);
    assert(stream->batch.answer == NULL && stream->lend.loan == NULL);
    assert(stream->idle.list == IDLE_NOWHERE);
    free(stream_take_block(stream, &n_bytes));
    model_release(stream->model);
    free(stream);
}

static size_t slot_of(const struct stream *stream, uint64_t number)
{
    return number % stream->sequence.credit;
}

static uint8_t *place_of_frame(const struct stream *stream, uint64_t number)
{
    return stream->frames + (number - stream->frames_from) % stream->sequence.credit * stream->frame_stride;
}

enum attnp_verdict stream_take(struct stream *stream, uint64_t number, const uint8_t *frame, uint64_t arrived_us,
                               struct attnp_time time)
{
    enum attnp_verdict verdict = attnp_sequence_frame(&stream->sequence, number);
    if (verdict != ATTNP_TAKE)
        return verdict;
    if (stream_waiting(stream) == 1) {
        stream->frames_from = number;
        counters_set(&stream->card.oldest_us, arrived_us);
    }
    memcpy(place_of_frame(stream, number), frame, stream->frame_bytes);
    stream->waiting[slot_of(stream, number)] = (struct waiting){arrived_us, time};
    assert(stream_waiting(stream) <= stream->sequence.credit); /* each in a slot of its own */
    counters_set(&stream->card.next_frame, stream->sequence.next);
    counters_add(&stream->card.frames, 1);
    return ATTNP_TAKE;
}

uint32_t stream_waiting(const struct stream *stream)
{
    return attnp_sequence_waiting(&stream->sequence);
}

/* The oldest waiting frame, and where its output goes. */
static void *place_of_output(const struct stream *stream, uint64_t number)
{
    return stream->outputs + slot_of(stream, number) * stream->output_stride;
}

struct plan_frame stream_begin_step(const struct stream *stream, uint64_t *position)
{
    assert(stream_waiting(stream) > 0);
    *position = plan_position(stream->state);
    return (struct plan_frame){
        .state = stream->state,
        .frame = (const float *)(const void *)place_of_frame(stream, stream->sequence.settled),
        .kind = stream->kind,
        .output = stream->deadline.skip != NULL ? NULL : place_of_output(stream, stream->sequence.settled),
    };
}

static struct answer *settle(struct stream *stream, enum answer_kind kind)
{
    size_t slot = slot_of(stream, stream->sequence.settled);
    struct answer *answer = &stream->answers[slot];
    *answer = (struct answer){.kind = kind, .time = stream->waiting[slot].time};
    answer->number = attnp_sequence_settle(&stream->sequence);
    counters_set(&stream->card.settled, stream->sequence.settled);
    counters_set(&stream->card.oldest_us, stream_oldest_us(stream));
    return answer;
}

struct answer *stream_end_step(struct stream *stream, const struct plan_frame *frame, uint64_t position)
{
    const struct plan_facts *facts = plan_facts(stream->plan);
    const char *skip = frame->not_finite ? stream_not_finite : stream->deadline.skip;
    size_t bad = frame->bad;
    struct answer *answer = settle(stream, bad != 0 ? ANSWER_BAD_FRAME : skip != NULL ? ANSWER_SKIPPED : ANSWER_OUTPUT);
    if (frame->output != NULL && (void *)frame->output != place_of_output(stream, answer->number))
        memcpy(place_of_output(stream, answer->number), frame->output, stream->output_bytes);
    answer->position = position;
    answer->reason = skip;
    counters_set(&stream->card.position, plan_position(stream->state));
    answer->bad_index = bad == 0 ? 0 : (uint32_t)(bad - 1);
    /* A replay that began in the middle has the lost stream's outputs once R frames are applied, this one included. */
    answer->warming = position < facts->warming_frames ||
                      (stream->first_position > 0 && plan_applied(stream->state) < facts->replay_frames);
    return answer;
}

void stream_step(struct stream *const *streams, size_t n, struct answer **answers, void *scratch)
{
    struct plan_frame frames[PLAN_MOST_AT_ONCE];
    uint64_t positions[PLAN_MOST_AT_ONCE];
    assert(n >= 1 && n <= PLAN_MOST_AT_ONCE);
    for (size_t i = 0; i < n; i++) {
        assert(streams[i]->plan == streams[0]->plan);
        frames[i] = stream_begin_step(streams[i], &positions[i]);
    }
    plan_push(streams[0]->plan, frames, n, streams[0]->scratch != NULL ? streams[0]->scratch : scratch);
    for (size_t i = 0; i < n; i++)
        answers[i] = stream_end_step(streams[i], &frames[i], positions[i]);
}

struct answer *stream_drop(struct stream *stream, const char *reason)
{
    struct answer *answer = settle(stream, ANSWER_DROPPED);
    answer->reason = reason;
    return answer;
}

void stream_note_lag(struct answer *answer, uint64_t lag_us)
{
    answer->lag_us = lag_us;
}

struct answer *stream_answer(struct stream *stream, uint64_t number)
{
    struct answer *answer = &stream->answers[slot_of(stream, number)];
    assert(number < stream->sequence.settled && answer->number == number); /* it is kept */
    return answer;
}

const uint8_t *stream_output(const struct stream *stream, const struct answer *answer)
{
    assert(answer->kind == ANSWER_OUTPUT); /* the slot of any other has an older output */
    return place_of_output(stream, answer->number);
}

uint64_t stream_arrived_us(const struct stream *stream)
{
    return stream->waiting[slot_of(stream, stream->sequence.settled)].arrived_us;
}

uint64_t stream_oldest_us(const struct stream *stream)
{
    return stream_waiting(stream) > 0 ? stream_arrived_us(stream) : 0;
}

void stream_was_reset(struct stream *stream)
{
    stream->first_position = 0;
    counters_set(&stream->card.position, 0);
}

void stream_begin_anew(struct stream *stream)
{
    attnp_sequence_listen(&stream->sequence);
}
