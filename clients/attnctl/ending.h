/* SPDX-License-Identifier: MIT */
/* What is undone whatever ends the process: a folder, half a file, the state of the terminal. A signal that ends the
 * process has it undone first, and then ends the process, so that the shell sees that signal. SIGKILL alone leaves
 * things behind. The module knows no thing that it undoes. One thread. */
#pragma once

/* From here on the signals that end a process have everything undone; those that were ignored stay so. exit does, too.
 */
void ending_start(void);

/* Adds what is to be undone, the newest first; `undo` calls what a signal handler may call, and nothing else. There is
 * room for ENDING_MOST. `ctx` has to live until it is removed. */
#define ENDING_MOST 16
void ending_add(void (*undo)(void *ctx), void *ctx);

/* Takes it out again; nothing where it is not there. */
void ending_remove(void (*undo)(void *ctx), void *ctx);

/* Between these two no signal ends the process: for what is made and added together. They do not nest. */
void ending_hold(void);
void ending_release(void);

/* In a new process, between hold and release of its parent: nothing is undone, signals have their default action and
 * come. */
void ending_forget(void);

/* The action of such a signal: everything is undone, and the process ends by it. A signal handler. */
void ending_end(int number);
