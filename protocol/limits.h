/* SPDX-License-Identifier: MIT */
/* All limits of the wire in one place. */
#pragma once

#define ATTNP_VERSION 1
#define ATTNP_MAX_MESSAGE (1024 * 1024)     /* default of max_message, bytes after the length header */
#define ATTNP_LENGTH_BYTES 4                /* the big-endian length before each message */
#define ATTNP_MAX_KEY 64                    /* routing key of the preface, bytes */
#define ATTNP_MAX_PREFACE (6 + ATTNP_MAX_KEY)
#define ATTNP_MAX_DEPTH 16                  /* nesting of a message; msgpack-c itself stops at 32 */
#define ATTNP_MAX_ELEMENTS 4096             /* values in one message, counted over all nesting */
#define ATTNP_MAX_STRING 4096               /* bytes of one string (bins are bounded by the message) */
#define ATTNP_MAX_NAME 64                   /* stream name, bytes of UTF-8 */
#define ATTNP_MAX_CREDIT 64
#define ATTNP_MIN_CREDIT 2
#define ATTNP_TOKEN_BYTES 16
#define ATTNP_ERROR_TEXT 240                /* longest message of an error, bytes */
