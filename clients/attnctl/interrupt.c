/* SPDX-License-Identifier: MIT */
/* A flag alone would be missed by a poll that begins just after it was looked at; so there is a pipe as well. */
#include "config.h"

#include "attnctl/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "attnctl/ending.h"

static volatile sig_atomic_t came;
static int ends[2] = {-1, -1};

static const int wishes[] = {SIGINT, SIGTERM, SIGHUP};
#define N_WISHES (sizeof(wishes) / sizeof(wishes[0]))

static void note(int number)
{
    int saved = errno;
    came = number;
    for (size_t i = 0; i < N_WISHES; i++) /* the second one does not wait */
        ending_handle(wishes[i], ending_end);
    ssize_t written = write(ends[1], "", 1);
    (void)written;
    errno = saved;
}

void interrupt_start(void)
{
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        ends[0] = ends[1] = -1;
    for (size_t i = 0; i < N_WISHES; i++)
        ending_handle(wishes[i], note);
}

int interrupt_end(int code)
{
    if (!interrupted())
        return code;
    fflush(NULL);
    ending_end((int)came);
    return code;
}

bool interrupted(void)
{
    return came != 0;
}

int interrupt_descriptor(void)
{
    return ends[0];
}
