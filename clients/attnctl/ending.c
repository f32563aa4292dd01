/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/ending.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static const int ending[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2,
                             SIGXCPU, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT, SIGSYS};
#define N_ENDING (sizeof(ending) / sizeof(ending[0]))

static struct {
    void (*undo)(void *ctx);
    void *ctx;
} list[ENDING_MOST];
static volatile sig_atomic_t n_listed;
static sigset_t before;

static void undo_all(void)
{
    while (n_listed > 0) {
        n_listed--;
        list[n_listed].undo(list[n_listed].ctx);
    }
}

void ending_end(int number)
{
    int saved = errno;
    undo_all();
    signal(number, SIG_DFL);
    raise(number); /* blocked here; it comes when the handler returns */
    errno = saved;
}

void ending_start(void)
{
    struct sigaction action = {.sa_handler = ending_end}, old;
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < N_ENDING; i++)
        if (sigaction(ending[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(ending[i], &action, NULL);
    atexit(undo_all);
}

/* Signals of the processor, which cannot wait, stay as they are. */
void ending_hold(void)
{
    sigset_t these;
    sigemptyset(&these);
    for (size_t i = 0; i < N_ENDING && ending[i] != SIGSEGV; i++)
        sigaddset(&these, ending[i]);
    sigprocmask(SIG_BLOCK, &these, &before);
}

void ending_release(void)
{
    sigprocmask(SIG_SETMASK, &before, NULL);
}

void ending_forget(void)
{
    struct sigaction old;
    n_listed = 0;
    for (size_t i = 0; i < N_ENDING; i++)
        if (sigaction(ending[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            signal(ending[i], SIG_DFL);
    ending_release();
}

void ending_add(void (*undo)(void *ctx), void *ctx)
{
    assert(n_listed < ENDING_MOST);
    list[n_listed].undo = undo;
    list[n_listed].ctx = ctx;
    n_listed++;
}

void ending_remove(void (*undo)(void *ctx), void *ctx)
{
    sigset_t all, own;
    int at = n_listed;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &own);
    while (at > 0 && (list[at - 1].undo != undo || list[at - 1].ctx != ctx))
        at--;
    if (at > 0) {
        for (int i = at; i < n_listed; i++)
            list[i - 1] = list[i];
        n_listed--;
    }
    sigprocmask(SIG_SETMASK, &own, NULL);
}
