/* SPDX-License-Identifier: MIT */
/* How a command fails: one sentence on standard error, and the code that the process ends with. The module knows no
 * command. */
#pragma once

enum exit_code {
    EXIT_DONE = 0,
    EXIT_DATA = 1, /* the data was wrong, or the daemon refused */
    EXIT_USAGE = 2,
    EXIT_REACH = 3,        /* the daemon cannot be reached, or may not be */
    EXIT_INTERRUPTED = 130 /* what was there until then has been answered; main ends the process by the signal */
};

/* "attnctl: " and a sentence on standard error; returns `code`, so that one can say `return complain(...)`. */
__attribute__((format(printf, 2, 3))) int complain(enum exit_code code, const char *format, ...);
