/* SPDX-License-Identifier: MIT */
/* Lines to standard error: for the journal with its level prefixes, for people without; what clients cause goes to the
 * journal with fields, and is bounded. It knows nothing of the daemon. What is process-wide here is so because standard
 * error is. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are left out from here on, and no line waits: one for which standard error has no room is lost,
 * counted, and told of before the next that finds room. (A file on a disk that hangs is not met by this.) Main thread,
 * before others start. Before it: info, for people. */
void log_start(enum log_level level);

/* Another level from here on. Any thread. */
void log_set_level(enum log_level level);

/* "error", "warning", "info", "debug"; -1 for another word. */
int log_level_of(const char *word);
const char *log_level_name(enum log_level level);

/* One line each; control characters and what is no UTF-8 (clients, and who names files, choose some of the words) are
 * written as '?'. None waits. Any thread. */
__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warning(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);

/* What a line is about, which the journal has as fields (attnd(8)); what is 0 or NULL is none. */
struct log_about {
    uint64_t connection, stream;
    bool has_uid;
    uid_t uid;
    const char *event; /* a word */
    const char *error; /* the error's name */
};

/* A line of the daemon's own with fields; the same holds for it. Any thread. */
__attribute__((format(printf, 3, 4))) void log_with(enum log_level level, const struct log_about *about,
                                                    const char *format, ...);

/* How many lines about clients one shard writes in a second; there is one quota a shard, its thread's own. Lines that
 * are no warnings stop earlier: a client that makes mistakes without end is not to hide what the operator has to know.
 */
#define LOG_LINES_PER_S      10
#define LOG_LINES_PER_S_INFO 5

struct log_quota {
    uint64_t second_us; /* when the second began */
    unsigned n_lines;
    uint64_t n_left_out;
};

/* A line that clients can cause: it neither allocates nor waits, and is left out where the quota is used up or nobody
 * takes it at once. Returns whether it was written. */
__attribute__((format(printf, 5, 6))) bool log_event(struct log_quota *quota, uint64_t now_us, enum log_level level,
                                                     const struct log_about *about, const char *format, ...);

/* Now and then: tells how many lines were left out in a second that is over. */
void log_left_out(struct log_quota *quota, uint64_t now_us);

/* Now and then: tells how many lines found no room, where there is room by now and no other line has told it. */
void log_lost(void);
