/* SPDX-License-Identifier: MIT */
/* A daemon for one run of attnctl: started on a socket of its own, and gone when attnctl is, whatever ends it. */
#pragma once

#include <sys/types.h>

#include "attnc/client.h"
#include "attnctl/problem.h"

struct private_daemon {
    pid_t pid;       /* 0: none */
    int lifeline;    /* our end of the pipe at whose end of file the daemon exits; −1: none */
    int log;         /* what it says on standard error; −1: none */
    int door;        /* its socket itself, to be connected to through /proc/self/fd; −1: none */
    char folder[96]; /* of its socket while it starts, else "" */
};

/* Starts a daemon and connects to it. `model_file`: it serves this file, under its name without the ending; NULL: the
 * models that come with attnd. 0 and *client, which is to be closed before private_stop; or −1 and a problem, nothing
 * left behind. */
int private_start(struct private_daemon *daemon, const char *model_file, struct attnc_client **client,
                  const struct attnc_connect_options *options, struct problem *problem);

/* Ends the daemon, and waits for it; nothing where none was started. */
void private_stop(struct private_daemon *daemon);
