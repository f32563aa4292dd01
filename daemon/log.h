/* SPDX-License-Identifier: MIT */
/* Lines to standard error: for the journal with its level prefixes, for people without. It knows nothing of the daemon.
 * What is process-wide here is so because standard error is. */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are left out from here on. Main thread, before others start. Before it: info, for people. */
void log_start(enum log_level level);

/* Another level from here on. Any thread. */
void log_set_level(enum log_level level);

/* "error", "warning", "info", "debug"; -1 for another word. */
int log_level_of(const char *word);
const char *log_level_name(enum log_level level);

/* One line each; control characters (clients choose some of the words) are written as '?'. Any thread. */
__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warning(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);
