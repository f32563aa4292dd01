/* SPDX-License-Identifier: MIT */
/* A list of what has to be undone before the process ends: a folder, half a file, the state of the terminal. A signal
 * that ends the process undoes all of the list, and then ends the process, so that the shell sees that signal. SIGKILL
 * alone leaves things behind. The module does not know what the entries are. One thread. */
#pragma once

#define ENDING_MOST 16 /* entries */

/* From here on exit, and every signal that ends the process, undo what is listed. Signals that are ignored stay so. */
void ending_start(void);

/* Adds an entry; the newest is undone first. `undo` calls nothing but what a signal handler may call. `ctx` has to live
 * until the entry is removed. */
void ending_add(void (*undo)(void *ctx), void *ctx);

/* Removes the newest entry of this `undo` and `ctx`, if there is one, without calling `undo`. */
void ending_remove(void (*undo)(void *ctx), void *ctx);

/* Between these two calls no signal comes: a thing is made and listed there. The pair does not nest. */
void ending_hold(void);
void ending_release(void);

/* For a new process, in place of ending_release, where its parent has forked after ending_hold: the list is empty, and
 * signals have their default action, or stay ignored. */
void ending_forget(void);

/* Sets a handler, during which no other signal comes. A signal that is ignored stays so. */
void ending_handle(int number, void (*handler)(int));

/* Undoes what is listed, and ends the process by this signal. A signal handler, and a function for others. */
void ending_end(int number);
