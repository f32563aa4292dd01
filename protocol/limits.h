/* SPDX-License-Identifier: MIT */
/* All limits of the wire in one place. */
#pragma once

#include <stdint.h>

#define ATTNP_VERSION 1
#define ATTNP_MAX_MESSAGE (1024 * 1024)     /* default of max_message, bytes after the length header */
#define ATTNP_LENGTH_BYTES 4                /* the big-endian length before each message */
#define ATTNP_MAX_KEY 64                    /* routing key of the preface, bytes */
#define ATTNP_MAX_PREFACE (6 + ATTNP_MAX_KEY)
#define ATTNP_MAX_DEPTH 16                  /* nesting of a message; msgpack-c itself stops at 32 */
/* Values in one message, counted over all nesting, keys too. msgpack-c takes 24 bytes for each, doubling its blocks: at
 * most 2 MiB. An answer to `streams` has 15 values a stream, so that 2,000 streams fit. */
#define ATTNP_MAX_ELEMENTS 32768
#define ATTNP_MAX_STRING 4096               /* bytes of one string (bins are bounded by the message) */
#define ATTNP_MAX_NAME 64                   /* stream name, bytes of UTF-8 */
#define ATTNP_MAX_MODEL 255                 /* model name, bytes: a file name */
#define ATTNP_MAX_NUMBER INT64_MAX          /* of first_frame, position, answer_from: no counter ever wraps */
#define ATTNP_MAX_CREDIT 64
#define ATTNP_MIN_CREDIT 2
#define ATTNP_TOKEN_BYTES 16
#define ATTNP_MAX_REASON 120                /* of kill, bytes of UTF-8 */
#define ATTNP_ERROR_TEXT 240                /* longest message of an error, bytes */
