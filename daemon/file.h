/* SPDX-License-Identifier: MIT */
/* Every file that the daemon opens, but for models, which libattn reads by the same rules. A name may mean anything: a
 * FIFO that nobody writes, a device without an end, a directory, a link that somebody else has put there. Nothing here
 * waits for another process, takes more memory than its caller allows, or leaves a descriptor to a child. It knows
 * nothing of what the files are for. */
#pragma once

#include <stddef.h>

#define FILE_WHY_BYTES 192

/* What file_read returns where there is no such file. */
#define FILE_ABSENT (-2)

/* Reads a regular file of at most `most` bytes, whatever size it claims (the kernel's own claim none); /dev/null counts
 * as an empty one, as a file that is masked. *text ends with a zero that *n does not count.
 * Thread: any. Owner: the caller frees *text. Errors: -1 and why, a sentence without the path; FILE_ABSENT, likewise.
 */
int file_read(const char *path, size_t most, char **text, size_t *n, char why[FILE_WHY_BYTES]);

/* Puts a file of these n bytes, which the daemon's user alone may read, in the place of whatever has this name, by way
 * of PATH.new: nobody sees a part of it. A link of either name is replaced and never followed.
 * Thread: any; one at a time for one path. Errors: -1 and why, and `path` is as it was. */
int file_replace(const char *path, const char *text, size_t n, char why[FILE_WHY_BYTES]);

/* Opens a file of the daemon's own for reading and writing, and makes it where there is none; no link is followed.
 * Thread: any. Owner: the caller closes the descriptor. Errors: -1 and why. */
int file_open_own(const char *path, char why[FILE_WHY_BYTES]);

/* A descriptor that holds a number, and nothing else: what is read from it is at its end.
 * Thread: any. Owner: the caller closes it. Errors: -1 and errno. */
int file_open_nothing(void);

/* Gives each of the standard descriptors that is closed a meaning, so that no socket, pipe or file that is opened later
 * gets its number and is taken for standard error, or for none by a library. Before anything is opened.
 * Thread: main. */
void file_keep_standard(void);
