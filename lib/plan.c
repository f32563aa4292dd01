/* SPDX-License-Identifier: MIT */
/* The public functions. A plan is a raw attention or an encoder; a state is a header and the block of the one or the
 * other. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "attn/attn.h"
#include "denormals.h"
#include "encoder.h"
#include "hash.h"
#include "reason.h"

struct attn_plan {
    struct attn_attention *attention; /* one of the two is NULL */
    struct attn_encoder *encoder;
    struct attn_info info;
};

struct attn_state {
    uint64_t applied;
    unsigned char pad[ATTN_ALIGN - sizeof(uint64_t)]; /* the block starts aligned, behind the header */
};

_Static_assert(sizeof(struct attn_state) == ATTN_ALIGN, "the header keeps the block aligned");

static void *block_of(struct attn_state *state)
{
    return state + 1;
}

static uint64_t hash_options(const struct attn_options *options)
{
    const uint32_t fields[] = {
        options->method,  options->heads,         options->head_dim,
        options->window,  options->landmarks,     options->landmark_policy,
        options->refresh, options->inverse_scale, options->retroactive != 0,
    };
    uint64_t hash = attn_hash(ATTN_HASH_START, fields, sizeof(fields));
    if (options->landmark_policy == ATTN_LANDMARKS_FIXED) {
        size_t n_bytes = (size_t)options->heads * options->landmarks * options->head_dim * sizeof(float);
        hash = attn_hash(hash, options->q_landmarks, n_bytes);
        hash = attn_hash(hash, options->k_landmarks, n_bytes);
    }
    return hash;
}

static void describe(const struct attn_attention *attention, struct attn_info *info)
{
    const struct attn_options *options = attn_attention_options(attention);
    uint32_t model_dim = options->heads * options->head_dim;
    *info = (struct attn_info){
        .input_dim = 3 * model_dim,
        .model_dim = model_dim,
        .heads = options->heads,
        .window = options->window,
        .layers = 1,
        .replay_frames = attn_attention_replay_frames(attention),
        .warming_frames = options->window - 1,
        .state_bytes = attn_attention_state_bytes(attention),
        .scratch_bytes = attn_attention_scratch_bytes(attention),
        .hash = hash_options(options),
    };
}

/* Makes *plan of one of the two parts, the other being NULL. The part is owned from here on, also when this
 * fails. */
static int make(struct attn_plan **plan, struct attn_attention *attention, struct attn_encoder *encoder,
                struct attn_reason *why)
{
    struct attn_plan *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        attn_attention_free(attention);
        attn_encoder_free(encoder);
        return attn_refuse(why, ATTN_E_MEMORY, "no memory for a plan of %zu bytes", sizeof(*made));
    }
    made->attention = attention;
    made->encoder = encoder;
    if (attention != NULL)
        describe(attention, &made->info);
    else
        attn_encoder_info(encoder, &made->info);
    made->info.state_bytes += sizeof(struct attn_state);
    *plan = made;
    return 0;
}

int attn_plan_new(struct attn_plan **plan, const struct attn_options *options, struct attn_reason *why)
{
    struct attn_attention *attention = NULL;
    int error = attn_attention_new(&attention, options, why);
    return error != 0 ? error : make(plan, attention, NULL, why);
}

int attn_plan_parse(struct attn_plan **plan, const void *bytes, size_t n_bytes, struct attn_reason *why)
{
    struct attn_encoder *encoder = NULL;
    int error = attn_encoder_parse(&encoder, bytes, n_bytes, why);
    return error != 0 ? error : make(plan, NULL, encoder, why);
}

void attn_plan_free(struct attn_plan *plan)
{
    if (plan == NULL)
        return;
    attn_attention_free(plan->attention);
    attn_encoder_free(plan->encoder);
    free(plan);
}

void attn_plan_info(const struct attn_plan *plan, struct attn_info *info)
{
    *info = plan->info;
}

uint32_t attn_output_dim(const struct attn_plan *plan, enum attn_output kind)
{
    if (plan->encoder != NULL)
        return attn_encoder_output_dim(plan->encoder, kind);
    return kind == ATTN_SCORES ? plan->info.model_dim : 0;
}

struct attn_state *attn_init(const struct attn_plan *plan, void *memory)
{
    struct attn_state *state = memory;
    assert((uintptr_t)memory % ATTN_ALIGN == 0);
    memset(state, 0, sizeof(*state));
    attn_reset(plan, state);
    return state;
}

void attn_reset(const struct attn_plan *plan, struct attn_state *state)
{
    state->applied = 0;
    if (plan->attention != NULL)
        attn_attention_reset(plan->attention, block_of(state));
    else
        attn_encoder_reset(plan->encoder, block_of(state));
}

uint64_t attn_applied(const struct attn_state *state)
{
    return state->applied;
}

/* The computation of a frame, in the mode in which denormals are 0. */
static void step(const struct attn_plan *plan, struct attn_state *state, const float *frame, enum attn_output kind,
                 float *output, void *scratch)
{
    uint64_t mode = attn_denormals_flush();
    if (plan->attention != NULL)
        attn_attention_step(plan->attention, block_of(state), state->applied, frame, output, scratch);
    else
        attn_encoder_step(plan->encoder, block_of(state), state->applied, frame, kind, output, scratch);
    attn_denormals_restore(mode);
}

int attn_push(const struct attn_plan *plan, struct attn_state *state, const float *frame, enum attn_output kind,
              float *output, void *scratch)
{
    if (attn_first_not_finite(frame, plan->info.input_dim) < plan->info.input_dim)
        return ATTN_E_FRAME;
    if (output != NULL && attn_output_dim(plan, kind) == 0)
        return ATTN_E_OPTIONS;
    step(plan, state, frame, kind, output, scratch);
    state->applied++;
    return 0;
}

int attn_batch(const struct attn_plan *plan, const float *frames, size_t n_frames, float *output)
{
    if (plan->attention == NULL || n_frames == 0)
        return ATTN_E_OPTIONS;
    return attn_attention_batch(plan->attention, frames, n_frames, output);
}
