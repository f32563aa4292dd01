/* SPDX-License-Identifier: MIT */
/* The parameters of requests: read and checked by the daemon. Strings point into the message and are not terminated;
 * every one is UTF-8 without control characters, 1 byte at least. A parameter that is nil counts as absent, and of one
 * that comes twice the first counts. What only the maths can judge (window against landmarks, values of landmarks) is
 * left to it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/message.h"

struct attnp_string {
    const char *data;           /* NULL: absent */
    size_t n;
};

struct attnp_hello {
    struct attnp_string client; /* optional: who it is, for people; at most ATTNP_MAX_NAME bytes */
    bool speaks_version;        /* versions lists ATTNP_VERSION */
};

enum attnp_late { ATTNP_LATE_BLOCK, ATTNP_LATE_DROP_OLDEST, ATTNP_LATE_SKIP_OUTPUT };
enum attnp_output_kind { ATTNP_OUTPUT_SCORES, ATTNP_OUTPUT_LOGITS, ATTNP_OUTPUT_EMBEDDING };

/* `attention` of open, names turned into numbers in the order in which attnd-protocol(7) lists them. */
struct attnp_attention {
    enum { ATTNP_METHOD_EXACT, ATTNP_METHOD_NYSTROM } method;
    uint32_t window, landmarks, heads, head_dim;    /* at least 1, but landmarks: 0 where absent */
    enum { ATTNP_POLICY_MEANS, ATTNP_POLICY_FIXED } landmark_policy;
    enum { ATTNP_REFRESH_IMMEDIATE, ATTNP_REFRESH_SPREAD } refresh;
    enum { ATTNP_INVERSE_MATRIX, ATTNP_INVERSE_HEADS } inverse_scale;
    bool retroactive;
    const uint8_t *q_landmarks, *k_landmarks;   /* [H][m][d] float32 each, any alignment; NULL unless the policy is fixed */
    size_t n_q_bytes, n_k_bytes;                /* 4·H·m·d each, which is checked */
};

struct attnp_open {
    struct attnp_string model;  /* either this or attention */
    bool has_attention;
    struct attnp_attention attention;
    struct attnp_string name;
    enum attnp_late late;
    enum attnp_output_kind output;
    bool has_rate, has_deadline; /* a late other than block has a deadline */
    double rate;                /* frames/s, finite and above 0 */
    uint32_t deadline_ms;       /* at least 1 */
    bool has_first_frame;
    bool has_replay;            /* position and answer_from were given; then first_frame was as well */
    uint64_t first_frame, position, answer_from;    /* 0 where not given; answer_from ≥ first_frame */
};

/* reset, finish, close, info, export, kill: which stream (by number or by name, exactly one of them). */
struct attnp_target {
    bool by_name;
    uint64_t stream;
    struct attnp_string name;
};

struct attnp_attach {
    struct attnp_target target;
    const uint8_t *token;       /* [ATTNP_TOKEN_BYTES], any alignment */
};

struct attnp_kill {
    struct attnp_target target;
    struct attnp_string reason; /* optional, at most ATTNP_MAX_REASON bytes */
};

/* Each: 0, or -1 and *error = bad_params naming the field, what it is and what it should be. Unknown keys are ignored.
 * `params` is a map (what attnp_message_read gives for every method but push and output). Any thread. */
int attnp_hello_read(struct attnp_hello *hello, const msgpack_object *params, struct attnp_error *error);
int attnp_open_read(struct attnp_open *open, const msgpack_object *params, struct attnp_error *error);
int attnp_target_read(struct attnp_target *target, const msgpack_object *params, struct attnp_error *error);
int attnp_attach_read(struct attnp_attach *attach, const msgpack_object *params, struct attnp_error *error);
int attnp_kill_read(struct attnp_kill *kill, const msgpack_object *params, struct attnp_error *error);
