/* SPDX-License-Identifier: MIT */
#include "protocol/session.h"

void attnp_session_init(struct attnp_session *session)
{
    session->state = ATTNP_AWAIT_PREFACE;
}

void attnp_session_preface(struct attnp_session *session)
{
    if (session->state == ATTNP_AWAIT_PREFACE)
        session->state = ATTNP_AWAIT_HELLO;
}

void attnp_session_await_hello(struct attnp_session *session)
{
    session->state = ATTNP_AWAIT_HELLO;
}

void attnp_session_end(struct attnp_session *session)
{
    session->state = ATTNP_ENDED;
}

/* What may not come from a client at all, whatever the state. */
static int check_shape(enum attnp_kind kind, enum attnp_method method, const char *method_name,
                       struct attnp_error *error)
{
    if (kind == ATTNP_RESPONSE)
        return attnp_fail(error, ATTNP_BAD_ORDER, "a response came, but the daemon asks nothing");
    if (method == ATTNP_M_UNKNOWN)
        return attnp_fail(error, ATTNP_UNKNOWN_METHOD, "no method \"%s\"", method_name);
    if (method == ATTNP_M_OUTPUT || method == ATTNP_M_EVENT || method == ATTNP_M_ERROR)
        return attnp_fail(error, ATTNP_BAD_ORDER, "%s came from the client, but only the daemon sends it",
                          attnp_method_name(method));
    if ((method == ATTNP_M_PUSH) != (kind == ATTNP_NOTIFICATION))
        return attnp_fail(error, ATTNP_BAD_ORDER, "%s came as a %s, but should be a %s", attnp_method_name(method),
                          kind == ATTNP_REQUEST ? "request" : "notification",
                          kind == ATTNP_REQUEST ? "notification" : "request");
    return 0;
}

int attnp_session_accept(struct attnp_session *session, enum attnp_kind kind, enum attnp_method method,
                         const char *method_name, struct attnp_error *error)
{
    bool is_hello = kind == ATTNP_REQUEST && method == ATTNP_M_HELLO;
    switch (session->state) {
    case ATTNP_AWAIT_PREFACE:
        return attnp_fail(error, ATTNP_BAD_ORDER, "a message came before the preface");
    case ATTNP_AWAIT_HELLO:
        if (!is_hello)
            return attnp_fail(error, ATTNP_BAD_ORDER, "%s came first, but a connection begins with the request hello",
                              kind == ATTNP_RESPONSE ? "a response" : method_name);
        session->state = ATTNP_READY;
        return 0;
    case ATTNP_READY:
        if (is_hello)
            return attnp_fail(error, ATTNP_BAD_ORDER, "a second hello came: one is enough");
        return check_shape(kind, method, method_name, error);
    default:
        return attnp_fail(error, ATTNP_BAD_ORDER, "a message came after the end of the session");
    }
}
