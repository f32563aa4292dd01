/* SPDX-License-Identifier: MIT */
/* The seam between the wire and the mathematics: plan.c is the one file of the daemon that sees both lib/ and
 * protocol/, and turns one's names, numbers and errors into the other's. It knows neither sockets nor streams. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/request.h"

/* A computation: a raw attention or a model. Immutable; any number of threads may use one. */
struct plan;

#define PLAN_ALIGN        64
#define PLAN_MOST_AT_ONCE 64 /* frames in one plan_push */

/* See struct attn_info of attn/attn.h; pointers live as long as the plan. */
struct plan_facts {
    uint32_t input_dim, model_dim, heads, window, layers, replay_frames, warming_frames;
    size_t state_bytes;
    size_t scratch_bytes;       /* that plan_push is to be given, for as many frames as it takes */
    size_t own_scratch_bytes;   /* the same of an attention that takes much: for its one stream, which counts as memory
                                   of that; scratch_bytes is 0 then */
    size_t frame_scratch_bytes; /* the same for a single frame; 0 where own_scratch_bytes has it */
    uint64_t most_work;         /* multiply-adds of a frame, see attn_most_multiply_adds */
    uint64_t guess_ns;     /* at what a frame takes at most, by that and by the memory that it reads; for what cannot
                              be measured */
    size_t landmark_bytes; /* of fixed landmarks, which the plan of an attention keeps for its one stream */
    uint32_t n_labels;
    const char *const *labels;
    const char *frontend;
    const char *events;
    uint64_t hash;
    uint64_t work_hash; /* of what decides a frame's work: equal for attentions that differ in landmarks' values only */
    const char *variant; /* of the kernels in use */
};

/* 0, or -1 and *error: bad_params, not_supported, no_memory. The caller owns *plan. */
int plan_of_attention(struct plan **plan, const struct attnp_attention *attention, struct attnp_error *error);

/* What plan_load returns where the file may be good, and there was no memory to see. */
#define PLAN_NO_MEMORY (-2)

/* Loads a model file. 0, or -1 or PLAN_NO_MEMORY, and why (at most n_why bytes, names the tensor and the offset). The
 * caller owns *plan. */
int plan_load(struct plan **plan, const char *path, char *why, size_t n_why);

void plan_free(struct plan *plan); /* NULL is allowed */

const struct plan_facts *plan_facts(const struct plan *plan);

/* Floats in an output; 0 where this plan has no such output. */
uint32_t plan_output_dim(const struct plan *plan, enum attnp_output_kind kind);

/* The empty state of a stream in state_bytes at `memory`, aligned to PLAN_ALIGN; its first frame has this position. */
void plan_start(const struct plan *plan, void *memory, uint64_t position);
void plan_reset(const struct plan *plan, void *state);
uint64_t plan_applied(const void *state);  /* frames since start or reset */
uint64_t plan_position(const void *state); /* that the next frame will have */

/* Makes `to` a state of its own that goes on where `from` is. */
void plan_copy(const struct plan *plan, void *to, const void *from);

/* Multiply-adds of a state's newest frame; see attn_last_work of attn/attn.h. */
uint64_t plan_last_work(const void *state);

/* One frame of one stream. */
struct plan_frame {
    void *state;
    const float *frame; /* [input_dim] */
    enum attnp_output_kind kind;
    float *output; /* NULL: the state advances, and what only the output needs is not computed */
    size_t bad; /* out: 0, or 1 + the index of the first float that is no finite number; then the state is as it was */
    bool not_finite; /* out: the frame is applied, and its output holds a NaN or an infinity */
};

/* Applies frames of n different streams of this plan, at most PLAN_MOST_AT_ONCE, and writes their outputs. `scratch`:
 * scratch_bytes, aligned. Allocates nothing. */
void plan_push(const struct plan *plan, struct plan_frame *frames, size_t n, void *scratch);

const char *plan_library_version(void);
