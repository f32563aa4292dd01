/* SPDX-License-Identifier: MIT */
/* The listening socket: systemd's, or an own one that a second daemon can neither take over nor destroy. It accepts
 * nothing. */
#pragma once

#include <stdbool.h>

#include "daemon/config.h"

struct listener {
    int fd;         /* listening, non-blocking; -1: none */
    int lock_fd;    /* held while an own socket exists; -1: the socket is systemd's */
    char path[108]; /* of an own socket */
};

/* Takes the socket that systemd passed, else makes the configured one. 0, or -1 with the reason logged; then nothing is
 * open and nothing that was there before has been touched. */
int listener_open(struct listener *listener, const struct config *config);

/* Closes; an own socket and its lock file are removed. */
void listener_close(struct listener *listener);
