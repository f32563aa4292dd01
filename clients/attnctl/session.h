/* SPDX-License-Identifier: MIT */
/* The daemon that a command works with: the one that listens, or a private one where nobody does. */
#pragma once

#include <stdbool.h>

#include "attnctl/complain.h"
#include "attnctl/private.h"
#include "attnctl/settings.h"

struct session {
    struct attnc_client *client;
    struct private_daemon daemon; /* not started where a daemon listened */
    char model[256];              /* the model's name for `open`; "" where none was given */
};

enum session_kind { SESSION_LISTENING, SESSION_OR_PRIVATE };

/* Connects. `model` as given with -m, NULL for none: with a slash it is a file, served by a private daemon. With
 * SESSION_OR_PRIVATE one is started, too, where nobody listens; both are said on standard error. EXIT_DONE, or another
 * exit code after having complained; session_close is due only after EXIT_DONE. */
enum exit_code session_open(struct session *session, const struct settings *settings, const char *model,
                            enum session_kind kind);
void session_close(struct session *session);

#define SESSION_SOCKET_BYTES 32

/* Where to connect once more. Returns a path that lives as long as settings, environment and `path`. */
const char *session_socket(const struct session *session, const struct settings *settings,
                           char path[SESSION_SOCKET_BYTES]);

/* Complains about the client's last error. Returns the exit code for it. */
enum exit_code session_complain(const struct session *session, const char *about);

/* What a notice that names frames says of them. */
const char *session_notice_text(const struct attnc_notice *notice);

/* Complains about what a notice says of a stream that goes on: frames without answer, or that it idles; nothing for any
 * other notice. `about` is the stream's input. */
void session_complain_notice(const char *about, const struct attnc_notice *notice);

/* Whether the connection is of no more use, after a failure that was complained about. */
bool session_is_lost(const struct session *session);

/* Chooses a model where none was given: `sounds`, which comes with attnd, or the only one that there is. EXIT_DONE, or
 * another exit code after having complained. */
enum exit_code session_choose_model(struct session *session);

/* How the model makes frames of audio: as attnd-model(7) has it under `frontend`. EXIT_DONE and hops = 0 where the
 * model has none; another exit code after having complained (no such model, a front-end that is not known here). */
enum exit_code session_frontend(struct session *session, uint32_t *hops, uint32_t *stride, uint32_t *input_dim);
