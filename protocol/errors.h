/* SPDX-License-Identifier: MIT */
/* The table of errors: code, name, what it ends, text. Codes are part of the wire and never change. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/limits.h"

/* What an error ends. */
enum attnp_ends { ATTNP_ENDS_REQUEST, ATTNP_ENDS_STREAM, ATTNP_ENDS_CONNECTION };

#define ATTNP_ERRORS(X) \
    X(1, BAD_PREFACE, "bad_preface", CONNECTION, "the first bytes are not attnd's preface") \
    X(2, BAD_VERSION, "bad_version", CONNECTION, "this version of the protocol is not spoken here") \
    X(3, BAD_MESSAGE, "bad_message", CONNECTION, "the bytes are not a message") \
    X(4, BAD_ORDER, "bad_order", CONNECTION, "the message is not allowed at this point") \
    X(5, UNKNOWN_METHOD, "unknown_method", REQUEST, "no such method") \
    X(6, BAD_PARAMS, "bad_params", REQUEST, "a parameter is missing or wrong") \
    X(7, LIMIT_EXCEEDED, "limit_exceeded", REQUEST, "a limit was exceeded") \
    X(8, UNKNOWN_MODEL, "unknown_model", REQUEST, "no such model") \
    X(9, UNKNOWN_STREAM, "unknown_stream", REQUEST, "no such stream") \
    X(10, STREAM_EXISTS, "stream_exists", REQUEST, "the name is in use") \
    X(11, DENIED, "denied", REQUEST, "not allowed") \
    X(12, BAD_FRAME, "bad_frame", REQUEST, "the frame was refused") \
    X(13, FRAME_GAP, "frame_gap", REQUEST, "frames are missing") \
    X(14, TOO_OLD, "too_old", REQUEST, "the answer to this frame is no longer kept") \
    X(15, CREDIT_EXCEEDED, "credit_exceeded", REQUEST, "more frames than the credit allows") \
    X(16, OVER_CAPACITY, "over_capacity", REQUEST, "no room for this stream") \
    X(17, NO_MEMORY, "no_memory", STREAM, "no memory") \
    X(18, SERVER_FULL, "server_full", CONNECTION, "no room for this connection") \
    X(19, SLOW_CONSUMER, "slow_consumer", CONNECTION, "the client does not read its outputs") \
    X(20, SUPERSEDED, "superseded", STREAM, "another connection took the stream over") \
    X(21, DRAINING, "draining", REQUEST, "the daemon is stopping") \
    X(22, IMPORT_MISMATCH, "import_mismatch", REQUEST, "the state does not fit the model") \
    X(23, NOT_SUPPORTED, "not_supported", REQUEST, "not supported by this version") \
    X(24, INTERNAL, "internal", STREAM, "an internal error")

enum attnp_code {
    ATTNP_OK = 0,
#define X(code, name, string, ends, text) ATTNP_##name = code,
    ATTNP_ERRORS(X)
#undef X
};

/* One error: what goes into a response's error or an `error` notification, and what the readers here report.
 * The optional fields are present where their flag is set. */
struct attnp_error {
    enum attnp_code code;
    char text[ATTNP_ERROR_TEXT + 1];    /* what is wrong, with the number, and what to do */
    bool has_stream, has_frame, has_count, has_expected, has_offset, has_left, has_retry;
    uint64_t stream;                    /* which stream */
    uint64_t frame;                     /* the frame number that is refused (bad_frame and too_old settle it) */
    uint64_t count;                     /* of too_old: how many frames from `frame` on */
    uint64_t expected;                  /* the frame number that a push has to begin with */
    uint64_t offset;                    /* byte of the message, behind its length header, or of the preface */
    double left_shard, left_all;        /* over_capacity: frames/s of this kind that one shard, and all together, still take */
    uint64_t retry_ms;                  /* when it may be worth asking again */
};

/* Name ("bad_frame"), general text and consequence of a code; "unknown" for a code not in the table. Any thread. */
const char *attnp_error_name(enum attnp_code code);
const char *attnp_error_general_text(enum attnp_code code);
enum attnp_ends attnp_error_ends(enum attnp_code code);

/* Fills *error (may be NULL) with the code and a formatted text, all optional fields absent; the text is made one line
 * of clean UTF-8 and cut where it is too long. Any thread. Returns -1, so that a reader can say `return
 * attnp_fail(error, ...)`. */
__attribute__((format(printf, 3, 4)))
int attnp_fail(struct attnp_error *error, enum attnp_code code, const char *format, ...);

/* The same for an error at a byte of a message. */
__attribute__((format(printf, 4, 5)))
int attnp_fail_at(struct attnp_error *error, enum attnp_code code, uint64_t offset, const char *format, ...);
