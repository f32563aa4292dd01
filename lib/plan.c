/* SPDX-License-Identifier: MIT */
/* Plans: their making, and what they say of themselves. */
#include "plan.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "denormals.h"
#include "hash.h"
#include "options.h"
#include "reason.h"
#include "work.h"

/* Every option but the variant, which info and saved states tell of beside it, as they do for a model. */
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
        .variant = attn_attention_kernels(attention)->variant,
        .output_rows = options->retroactive ? options->window : 1,
    };
}

int attn_plan_make(struct attn_plan **plan, struct attn_attention *attention, struct attn_encoder *encoder,
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
    made->kernels = attn_kernels_of(made->info.variant);
    made->info.size = sizeof(made->info);
    made->info.saved_bytes = attn_saved_bytes(made->info.state_bytes);
    made->info.state_bytes += sizeof(struct attn_state);
    *plan = made;
    return 0;
}

int attn_plan_new(struct attn_plan **plan, const struct attn_options *options, struct attn_reason *why)
{
    struct attn_options own;
    struct attn_attention *attention = NULL;
    int error = attn_options_take(&own, options, why);
    uint64_t mode = attn_denormals_flush(); /* g of fixed landmarks is to have the bits that frames would give it */
    if (error == 0)
        error = attn_attention_new(&attention, &own, why);
    attn_denormals_restore(mode);
    return error != 0 ? error : attn_plan_make(plan, attention, NULL, why);
}

void attn_plan_free(struct attn_plan *plan)
{
    if (plan == NULL)
        return;
    attn_attention_free(plan->attention);
    attn_encoder_free(plan->encoder);
    free(plan);
}

int attn_plan_info(const struct attn_plan *plan, struct attn_info *info)
{
    size_t size = info->size;
    if (size != sizeof(*info) && size != offsetof(struct attn_info, events))
        return ATTN_E_OPTIONS;
    memcpy(info, &plan->info, size);
    info->size = size;
    return 0;
}

uint32_t attn_output_dim(const struct attn_plan *plan, enum attn_output kind)
{
    if (plan->encoder != NULL)
        return attn_encoder_output_dim(plan->encoder, kind);
    return kind == ATTN_SCORES ? plan->info.output_rows * plan->info.model_dim : 0;
}

uint64_t attn_most_multiply_adds(const struct attn_plan *plan)
{
    return (uint64_t)(plan->encoder != NULL ? attn_encoder_most_multiply_adds(plan->encoder)
                                            : attn_work_most(attn_attention_options(plan->attention)));
}

int attn_batch(const struct attn_plan *plan, const float *frames, size_t n_frames, float *output)
{
    if (plan->attention == NULL || n_frames == 0)
        return ATTN_E_OPTIONS;
    return attn_attention_batch(plan->attention, frames, n_frames, output);
}
