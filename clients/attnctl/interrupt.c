/* SPDX-License-Identifier: MIT */
/* A flag alone would be missed by a poll that begins just after it was looked at; so there is a pipe as well. */
#include "config.h"

#include "attnctl/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t came;
static int ends[2] = {-1, -1};

static void note(int number)
{
    int saved = errno;
    came = number;
    /* Whoever asks twice does not want to wait: the default action is back. A private daemon ends by itself. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    ssize_t written = write(ends[1], "", 1);
    (void)written;
    errno = saved;
}

void interrupt_start(void)
{
    struct sigaction action = {.sa_handler = note};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        ends[0] = ends[1] = -1;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void)
{
    return came != 0;
}

int interrupt_descriptor(void)
{
    return ends[0];
}
