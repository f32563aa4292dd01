/* SPDX-License-Identifier: MIT */
#include "daemon/plan.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"

static_assert(PLAN_ALIGN == ATTN_ALIGN, "the daemon aligns states as the library wants them");

struct plan {
    struct attn_plan *of_library;
    struct plan_facts facts;
};

static const enum attn_method methods[] = {[ATTNP_METHOD_EXACT] = ATTN_EXACT, [ATTNP_METHOD_NYSTROM] = ATTN_NYSTROM};
static const enum attn_landmark_policy policies[] = {
    [ATTNP_POLICY_MEANS] = ATTN_LANDMARKS_MEANS, [ATTNP_POLICY_FIXED] = ATTN_LANDMARKS_FIXED};
static const enum attn_refresh refreshes[] = {
    [ATTNP_REFRESH_IMMEDIATE] = ATTN_REFRESH_IMMEDIATE, [ATTNP_REFRESH_SPREAD] = ATTN_REFRESH_SPREAD};
static const enum attn_inverse_scale scales[] = {
    [ATTNP_INVERSE_MATRIX] = ATTN_INVERSE_MATRIX, [ATTNP_INVERSE_HEADS] = ATTN_INVERSE_HEADS};
static const enum attn_output outputs[] = {[ATTNP_OUTPUT_SCORES] = ATTN_SCORES,
                                           [ATTNP_OUTPUT_LOGITS] = ATTN_LOGITS,
                                           [ATTNP_OUTPUT_EMBEDDING] = ATTN_EMBEDDING};

static enum attnp_code code_of(int error)
{
    switch (error) {
    case ATTN_E_OPTIONS:
        return ATTNP_BAD_PARAMS;
    case ATTN_E_SUPPORT:
        return ATTNP_NOT_SUPPORTED;
    case ATTN_E_MEMORY:
        return ATTNP_NO_MEMORY;
    default:
        return ATTNP_INTERNAL;
    }
}

/* What is surely reached where the work of a frame is none of the weights': five of them and more are usual. */
#define MULTIPLY_ADDS_A_NS 5

/* Memory that is read from beginning to end: 8 bytes a nanosecond. */
#define BYTES_A_NS 8

static void fill_facts(struct plan *plan)
{
    struct attn_info info = {.size = sizeof(info)};
    attn_plan_info(plan->of_library, &info);
    plan->facts = (struct plan_facts){
        .input_dim = info.input_dim,
        .model_dim = info.model_dim,
        .heads = info.heads,
        .window = info.window,
        .layers = info.layers,
        .replay_frames = info.replay_frames,
        .warming_frames = info.warming_frames,
        .state_bytes = info.state_bytes,
        .scratch_bytes = attn_scratch_bytes(plan->of_library, PLAN_MOST_AT_ONCE),
        .frame_scratch_bytes = attn_scratch_bytes(plan->of_library, 1),
        .most_work = attn_most_multiply_adds(plan->of_library),
        .guess_ns = attn_most_multiply_adds(plan->of_library) / MULTIPLY_ADDS_A_NS,
        .n_labels = info.n_labels,
        .labels = info.labels,
        .frontend = info.frontend,
        .events = info.events,
        .hash = info.hash,
        .work_hash = info.hash,
        .variant = attn_variant_name(info.variant),
    };
}

/* FNV-1a of the options' numbers. */
static uint64_t work_hash(const struct attnp_attention *attention)
{
    const uint32_t numbers[] = {attention->method,  attention->heads,         attention->head_dim,
                                attention->window,  attention->landmarks,     attention->landmark_policy,
                                attention->refresh, attention->inverse_scale, attention->retroactive};
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        hash = (hash ^ numbers[i]) * 0x100000001b3;
    return hash;
}

/* Both matrices, aligned, in one allocation that the caller frees. */
static float *copy_landmarks(const struct attnp_attention *attention)
{
    uint8_t *copy = malloc(attention->n_q_bytes + attention->n_k_bytes);
    if (copy != NULL) {
        memcpy(copy, attention->q_landmarks, attention->n_q_bytes);
        memcpy(copy + attention->n_q_bytes, attention->k_landmarks, attention->n_k_bytes);
    }
    return (float *)(void *)copy;
}

/* libattn keeps fixed landmarks as they came, scaled in two orders those of q and in one those of k, and g(Γ)
 * [H][m][m]. */
static size_t landmark_bytes(const struct attnp_attention *attention)
{
    size_t m = attention->landmarks;
    return 3 * attention->n_q_bytes + 2 * attention->n_k_bytes + attention->heads * m * m * sizeof(float);
}

/* More than this is not left behind in a shard when the stream that needed it has ended, but is the stream's. A client
 * decides about it: all rows of a window over many landmarks take far more than the state itself. */
#define MOST_SHARED_SCRATCH (1 << 20)

static void share_scratch(struct plan_facts *facts)
{
    if (facts->scratch_bytes <= MOST_SHARED_SCRATCH)
        return;
    facts->own_scratch_bytes = facts->scratch_bytes;
    facts->scratch_bytes = facts->frame_scratch_bytes = 0;
}

/* A step of exact attention reads the whole state, and so does one that makes all outputs of the window anew. */
static bool reads_all(const struct attnp_attention *attention)
{
    return attention->method == ATTNP_METHOD_EXACT || attention->retroactive;
}

int plan_of_attention(struct plan **plan, const struct attnp_attention *attention, struct attnp_error *error)
{
    struct attn_options options = {
        .size = sizeof(options),
        .method = methods[attention->method],
        .heads = attention->heads,
        .head_dim = attention->head_dim,
        .window = attention->window,
        .landmarks = attention->landmarks,
        .landmark_policy = policies[attention->landmark_policy],
        .refresh = refreshes[attention->refresh],
        .inverse_scale = scales[attention->inverse_scale],
        .retroactive = attention->retroactive,
    };
    struct attn_reason why = {""};
    float *landmarks = NULL;
    struct plan *made = calloc(1, sizeof(*made));
    if (made != NULL && attention->q_landmarks != NULL) {
        landmarks = copy_landmarks(attention);
        options.q_landmarks = landmarks;
        options.k_landmarks = landmarks != NULL ? landmarks + attention->n_q_bytes / sizeof(float) : NULL;
    }
    int status = ATTN_E_MEMORY;
    if (made != NULL && (attention->q_landmarks == NULL || landmarks != NULL))
        status = attn_plan_new(&made->of_library, &options, &why);
    free(landmarks);
    if (status != 0) {
        free(made);
        return attnp_fail(error, code_of(status), "%s", why.text[0] != '\0' ? why.text : attn_error_text(status));
    }
    fill_facts(made);
    share_scratch(&made->facts);
    made->facts.work_hash = work_hash(attention);
    if (reads_all(attention) && made->facts.guess_ns < made->facts.state_bytes / BYTES_A_NS)
        made->facts.guess_ns = made->facts.state_bytes / BYTES_A_NS;
    if (attention->q_landmarks != NULL)
        made->facts.landmark_bytes = landmark_bytes(attention);
    *plan = made;
    return 0;
}

int plan_load(struct plan **plan, const char *path, char *why, size_t n_why)
{
    struct attn_reason reason = {""};
    struct plan *made = calloc(1, sizeof(*made));
    int status = made != NULL ? attn_plan_load(&made->of_library, path, NULL, &reason) : ATTN_E_MEMORY;
    if (status != 0) {
        snprintf(why, n_why, "%s%s%s", attn_error_text(status), reason.text[0] != '\0' ? ": " : "", reason.text);
        free(made);
        return status == ATTN_E_MEMORY ? PLAN_NO_MEMORY : -1;
    }
    fill_facts(made);
    *plan = made;
    return 0;
}

void plan_free(struct plan *plan)
{
    if (plan != NULL)
        attn_plan_free(plan->of_library);
    free(plan);
}

const struct plan_facts *plan_facts(const struct plan *plan)
{
    return &plan->facts;
}

uint32_t plan_output_dim(const struct plan *plan, enum attnp_output_kind kind)
{
    return attn_output_dim(plan->of_library, outputs[kind]);
}

void plan_start(const struct plan *plan, void *memory, uint64_t position)
{
    attn_init_at(plan->of_library, memory, position);
}

void plan_reset(const struct plan *plan, void *state)
{
    attn_reset(plan->of_library, state);
}

uint64_t plan_applied(const void *state)
{
    return attn_applied(state);
}

uint64_t plan_position(const void *state)
{
    return attn_position(state);
}

void plan_copy(const struct plan *plan, void *to, const void *from)
{
    memcpy(to, from, plan->facts.state_bytes); /* a state holds no address */
}

uint64_t plan_last_work(const void *state)
{
    return attn_last_work(state).multiply_adds;
}

/* Sums of finite numbers may be too large for a float, and then the output is none. */
static bool has_overflowed(const struct plan *plan, const struct plan_frame *frame)
{
    size_t n = plan_output_dim(plan, frame->kind);
    return frame->output != NULL && attn_first_not_finite(frame->output, n) < n;
}

void plan_push(const struct plan *plan, struct plan_frame *frames, size_t n, void *scratch)
{
    struct attn_frame of_library[PLAN_MOST_AT_ONCE];
    assert(n <= PLAN_MOST_AT_ONCE);
    for (size_t i = 0; i < n; i++)
        of_library[i] = (struct attn_frame){
            .state = frames[i].state,
            .frame = frames[i].frame,
            .output = frames[i].output,
            .kind = outputs[frames[i].kind],
        };
    attn_push_batch(plan->of_library, of_library, n, scratch);
    for (size_t i = 0; i < n; i++) {
        bool is_bad = of_library[i].error != 0;
        frames[i].bad = is_bad ? 1 + attn_first_not_finite(frames[i].frame, plan->facts.input_dim) : 0;
        frames[i].not_finite = !is_bad && has_overflowed(plan, &frames[i]);
    }
}

const char *plan_library_version(void)
{
    return attn_version();
}
