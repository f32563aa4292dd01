/* SPDX-License-Identifier: MIT */
/*
 * A handler of every signal that would end the process goes through the list, and then has the signal end the process.
 * The list changes while all signals are blocked, and so do the things that it names: no handler finds half an entry.
 * A fault (SIGSEGV) in such a moment ends the process without the list.
 */
#include "config.h"

#include "attnctl/ending.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static struct {
    void (*undo)(void *ctx);
    void *ctx;
} list[ENDING_MOST];
static int n_listed;
static sigset_t before; /* ending_hold */

/* Whether the default action of a signal ends the process, as that of most does, and of all that have no name. */
static bool ends(int number)
{
    static const int others[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG, SIGWINCH};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (number == others[i])
            return false;
    return true;
}

static void block_all(sigset_t *own)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, own);
}

static void restore(const sigset_t *own)
{
    sigprocmask(SIG_SETMASK, own, NULL);
}

static void undo_all(void)
{
    sigset_t own;
    block_all(&own);
    while (n_listed > 0) {
        n_listed--;
        list[n_listed].undo(list[n_listed].ctx);
    }
    restore(&own);
}

void ending_handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler}, old;
    sigfillset(&action.sa_mask);
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void ending_end(int number)
{
    int saved = errno;
    undo_all();
    signal(number, SIG_DFL);
    raise(number); /* in a handler the signal is blocked, and comes at its end */
    errno = saved;
}

/* Handlers that are there already, a sanitizer's, say, stay. */
void ending_start(void)
{
    struct sigaction old;
    for (int number = 1; number <= SIGRTMAX; number++)
        if (ends(number) && sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            ending_handle(number, ending_end);
    atexit(undo_all);
}

void ending_hold(void)
{
    block_all(&before);
}

void ending_release(void)
{
    restore(&before);
}

void ending_forget(void)
{
    n_listed = 0;
    for (int number = 1; number <= SIGRTMAX; number++)
        if (ends(number))
            ending_handle(number, SIG_DFL);
    ending_release();
}

void ending_add(void (*undo)(void *ctx), void *ctx)
{
    sigset_t own;
    assert(n_listed < ENDING_MOST);
    block_all(&own);
    list[n_listed].undo = undo;
    list[n_listed].ctx = ctx;
    n_listed++;
    restore(&own);
}

void ending_remove(void (*undo)(void *ctx), void *ctx)
{
    sigset_t own;
    block_all(&own);
    int at = n_listed;
    while (at > 0 && (list[at - 1].undo != undo || list[at - 1].ctx != ctx))
        at--;
    if (at > 0) {
        for (int i = at; i < n_listed; i++)
            list[i - 1] = list[i];
        n_listed--;
    }
    restore(&own);
}
