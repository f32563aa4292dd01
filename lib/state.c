/* SPDX-License-Identifier: MIT */
/* States: their making, and the frames that are pushed through them. */
#include <assert.h>
#include <string.h>

#include "denormals.h"
#include "plan.h"

/* Frames that the layers of a model see at the same time: the weights are read once for so many, and more would only
 * take more scratch memory. */
#define MOST_AT_ONCE 64

struct attn_state *attn_init_at(const struct attn_plan *plan, void *memory, uint64_t position)
{
    struct attn_state *state = memory;
    assert((uintptr_t)memory % ATTN_ALIGN == 0);
    memset(state, 0, sizeof(*state));
    attn_reset(plan, state);
    state->first = position;
    return state;
}

struct attn_state *attn_init(const struct attn_plan *plan, void *memory)
{
    return attn_init_at(plan, memory, 0);
}

void attn_reset(const struct attn_plan *plan, struct attn_state *state)
{
    memset(state, 0, sizeof(*state));
    if (plan->attention != NULL)
        attn_attention_reset(plan->attention, attn_state_block(state));
    else
        attn_encoder_reset(plan->encoder, attn_state_block(state));
}

uint64_t attn_applied(const struct attn_state *state)
{
    return state->applied;
}

uint64_t attn_position(const struct attn_state *state)
{
    return attn_state_next(state).t;
}

struct attn_work attn_last_work(const struct attn_state *state)
{
    return state->work;
}

size_t attn_scratch_bytes(const struct attn_plan *plan, size_t n)
{
    if (plan->attention != NULL)
        return plan->info.scratch_bytes;
    return attn_encoder_scratch_bytes(plan->encoder, n < MOST_AT_ONCE ? n : MOST_AT_ONCE);
}

/* 0, or why the frame cannot be applied. */
static int check(const struct attn_plan *plan, const struct attn_frame *frame)
{
    size_t n = plan->info.input_dim;
    if (plan->kernels->first_not_finite(n, frame->frame) < n)
        return ATTN_E_FRAME;
    return frame->output != NULL && attn_output_dim(plan, frame->kind) == 0 ? ATTN_E_OPTIONS : 0;
}

/* Puts the rows that exist, [n_rows][H][d] at the start of a retroactive output, at its end, and zeros before them. */
static void place_rows(const struct attn_plan *plan, float *output, size_t n_rows)
{
    size_t row = plan->info.model_dim, n_missing = plan->info.output_rows - n_rows;
    memmove(output + n_missing * row, output, n_rows * row * sizeof(float));
    memset(output, 0, n_missing * row * sizeof(float));
}

static void advance(struct attn_state *state, struct attn_work work)
{
    state->work = work;
    state->applied++;
}

static void step_attention(const struct attn_plan *plan, const struct attn_frame *frame, void *scratch)
{
    struct attn_run run = {.kernels = plan->kernels};
    struct attn_when when = attn_state_next(frame->state);
    attn_attention_step(plan->attention, &run, attn_state_block(frame->state), when, frame->frame, frame->output, false,
                        scratch);
    if (frame->output != NULL && plan->info.output_rows > 1)
        place_rows(plan, frame->output, attn_when_rows(when, plan->info.window));
    advance(frame->state, run.work);
}

/* Of frames[n], n ≤ MOST_AT_ONCE, those that have no error. */
static void step_encoder(const struct attn_plan *plan, const struct attn_frame *frames, size_t n, void *scratch)
{
    struct attn_encoder_frame good[MOST_AT_ONCE];
    struct attn_state *states[MOST_AT_ONCE];
    size_t n_good = 0;
    for (size_t i = 0; i < n; i++) {
        if (frames[i].error != 0)
            continue;
        states[n_good] = frames[i].state;
        good[n_good++] = (struct attn_encoder_frame){
            .state = attn_state_block(frames[i].state),
            .when = attn_state_next(frames[i].state),
            .input = frames[i].frame,
            .kind = frames[i].kind,
            .output = frames[i].output,
        };
    }
    if (n_good > 0)
        attn_encoder_step(plan->encoder, good, n_good, scratch);
    for (size_t i = 0; i < n_good; i++)
        advance(states[i], good[i].work);
}

/* frames[n], n ≤ MOST_AT_ONCE, in the mode in which denormals are 0. Returns how many were applied. */
static size_t push_some(const struct attn_plan *plan, struct attn_frame *frames, size_t n, void *scratch)
{
    size_t n_applied = 0;
    for (size_t i = 0; i < n; i++) {
        frames[i].error = check(plan, &frames[i]);
        n_applied += frames[i].error == 0;
    }
    uint64_t mode = attn_denormals_flush();
    if (plan->encoder != NULL)
        step_encoder(plan, frames, n, scratch);
    for (size_t i = 0; i < n && plan->attention != NULL; i++)
        if (frames[i].error == 0)
            step_attention(plan, &frames[i], scratch);
    attn_denormals_restore(mode);
    return n_applied;
}

size_t attn_push_batch(const struct attn_plan *plan, struct attn_frame *frames, size_t n, void *scratch)
{
    size_t n_applied = 0;
    for (size_t i = 0; i < n; i += MOST_AT_ONCE)
        n_applied += push_some(plan, frames + i, n - i < MOST_AT_ONCE ? n - i : MOST_AT_ONCE, scratch);
    return n_applied;
}

int attn_push(const struct attn_plan *plan, struct attn_state *state, const float *frame, enum attn_output kind,
              float *output, void *scratch)
{
    struct attn_frame one = {.state = state, .frame = frame, .output = output, .kind = kind};
    push_some(plan, &one, 1, scratch);
    return one.error;
}

int attn_verify(const struct attn_plan *plan, struct attn_state *state, double *difference)
{
    if (state->applied == 0)
        return ATTN_E_OPTIONS;
    struct attn_when newest = {.t = attn_state_next(state).t - 1, .first = state->first};
    uint64_t mode = attn_denormals_flush();
    int error = plan->attention != NULL
                    ? attn_attention_verify(plan->attention, attn_state_block(state), newest, difference)
                    : attn_encoder_verify(plan->encoder, attn_state_block(state), newest, difference);
    attn_denormals_restore(mode);
    return error;
}
