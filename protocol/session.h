/* SPDX-License-Identifier: MIT */
/* The legal order of messages of a connection, from the daemon's side: preface, hello, everything else. A pure state
 * machine. */
#pragma once

#include "protocol/message.h"

struct attnp_session {
    enum { ATTNP_AWAIT_PREFACE, ATTNP_AWAIT_HELLO, ATTNP_READY, ATTNP_ENDED } state;
};

/* A connection that has just come. Memory, here and below: the caller's, used by one thread at a time. */
void attnp_session_init(struct attnp_session *session);
void attnp_session_preface(struct attnp_session *session);      /* a good preface has come */

/* The hello that was accepted could not be read: nothing was agreed on, and another may come. */
void attnp_session_await_hello(struct attnp_session *session);

/* The connection ends: nothing may come any more. */
void attnp_session_end(struct attnp_session *session);

/* 0 where a message of this kind and method may come now (a hello moves on); else -1 and *error: bad_order (a push or
 * request before hello, a second hello, a response or a daemon's notification from a client, a push as a request or a
 * request as a notification) or unknown_method. */
int attnp_session_accept(struct attnp_session *session, enum attnp_kind kind, enum attnp_method method,
                         const char *method_name, struct attnp_error *error);
