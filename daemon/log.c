/* SPDX-License-Identifier: MIT */
#include "daemon/log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/journal.h"

#define LINE_BYTES 1024

static const struct {
    const char *name, *journal;
} levels[] = {{"error", "<3>"}, {"warning", "<4>"}, {"info", "<6>"}, {"debug", "<7>"}};

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;
static bool for_journal;
static int journal_fd = -1;

/* systemd names device and inode of the journal's pipe in the environment; only where standard error still is that pipe
 * are the prefixes read by somebody (systemd.exec(5), $JOURNAL_STREAM). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
           status.st_dev == (dev_t)device && status.st_ino == (ino_t)inode;
}

void log_start(enum log_level level)
{
    log_set_level(level);
    for_journal = stderr_is_journal();
    if (for_journal && journal_fd < 0)
        journal_fd = journal_open();
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

int log_level_of(const char *word)
{
    for (int i = 0; i < (int)(sizeof(levels) / sizeof(levels[0])); i++)
        if (strcmp(levels[i].name, word) == 0)
            return i;
    return -1;
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

static void make_line(char line[LINE_BYTES], const char *format, va_list arguments)
{
    vsnprintf(line, LINE_BYTES, format, arguments);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

/* In one piece, so that lines of several threads do not mix. */
static void write_line(enum log_level level, const char *line)
{
    char text[LINE_BYTES + 32];
    int n;
    if (for_journal)
        n = snprintf(text, sizeof(text), "%s%s\n", levels[level].journal, line);
    else
        n = snprintf(text, sizeof(text), "attnd: %s%s%s\n", level == LOG_LEVEL_INFO ? "" : levels[level].name,
                     level == LOG_LEVEL_INFO ? "" : ": ", line);
    (void)!write(STDERR_FILENO, text, (size_t)n);
}

#define LOG_FUNCTION(function, level)                                                                                  \
    void function(const char *format, ...)                                                                             \
    {                                                                                                                  \
        char line[LINE_BYTES];                                                                                         \
        va_list arguments;                                                                                             \
        if (level > threshold)                                                                                         \
            return;                                                                                                    \
        va_start(arguments, format);                                                                                   \
        make_line(line, format, arguments);                                                                            \
        va_end(arguments);                                                                                             \
        write_line(level, line);                                                                                       \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

static bool stderr_takes_a_line(void)
{
    struct pollfd descriptor = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLOUT) != 0;
}

static void add_about(struct journal_entry *entry, const struct log_about *about)
{
    if (about->event != NULL)
        journal_add(entry, "ATTND_EVENT", "%s", about->event);
    if (about->error != NULL)
        journal_add(entry, "ATTND_ERROR", "%s", about->error);
    if (about->stream != 0)
        journal_add(entry, "ATTND_STREAM", "%" PRIu64, about->stream);
    if (about->connection != 0)
        journal_add(entry, "ATTND_CONNECTION", "%" PRIu64, about->connection);
    if (about->has_uid)
        journal_add(entry, "ATTND_UID", "%u", (unsigned)about->uid);
}

/* To the journal with its fields. False: it is not there, or does not take it at once. */
static bool send_entry(enum log_level level, const struct log_about *about, const char *line)
{
    struct journal_entry entry = {.n = 0};
    if (!for_journal)
        return false;
    journal_add(&entry, "MESSAGE", "%s", line);
    journal_add(&entry, "PRIORITY", "%c", levels[level].journal[1]);
    journal_add(&entry, "SYSLOG_IDENTIFIER", "attnd");
    add_about(&entry, about);
    return journal_send(journal_fd, JOURNAL_SOCKET, &entry);
}

/* Or else as a line of text, where that does not wait either. */
static bool hand_over(enum log_level level, const struct log_about *about, const char *line)
{
    if (send_entry(level, about, line))
        return true;
    if (!stderr_takes_a_line())
        return false;
    write_line(level, line);
    return true;
}

void log_with(enum log_level level, const struct log_about *about, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    if (level > threshold)
        return;
    va_start(arguments, format);
    make_line(line, format, arguments);
    va_end(arguments);
    if (!send_entry(level, about, line))
        write_line(level, line);
}

void log_left_out(struct log_quota *quota, uint64_t now_us)
{
    static const struct log_about about = {.event = "left_out"};
    char line[LINE_BYTES];
    if (quota->n_left_out == 0 || now_us - quota->second_us < 1000000)
        return;
    snprintf(line, sizeof(line), "%" PRIu64 " more lines like these were left out", quota->n_left_out);
    if (hand_over(LOG_LEVEL_WARNING, &about, line))
        quota->n_left_out = 0;
}

bool log_event(struct log_quota *quota, uint64_t now_us, enum log_level level, const struct log_about *about,
               const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    if (level > threshold)
        return false;
    log_left_out(quota, now_us);
    if (now_us - quota->second_us >= 1000000) {
        quota->second_us = now_us;
        quota->n_lines = 0;
    }
    if (quota->n_lines >= (level <= LOG_LEVEL_WARNING ? LOG_LINES_PER_S : LOG_LINES_PER_S_INFO)) {
        quota->n_left_out++;
        return false;
    }
    quota->n_lines++;
    va_start(arguments, format);
    make_line(line, format, arguments);
    va_end(arguments);
    bool is_written = hand_over(level, about, line);
    quota->n_left_out += !is_written;
    return is_written;
}
