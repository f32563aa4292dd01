/* SPDX-License-Identifier: MIT */
#include "daemon/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "protocol/utf8.h"

#define LINE_BYTES 1024
#define TEXT_BYTES (LINE_BYTES + 32) /* with what stands before it, and the line's end */

static const struct {
    const char *name, *journal;
} levels[] = {{"error", "<3>"}, {"warning", "<4>"}, {"info", "<6>"}, {"debug", "<7>"}};

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;
static bool for_journal;
static int journal_fd = -1;

/* Standard error, and how it is written without waiting. */
static struct {
    pthread_mutex_t mutex;
    int fd;
    bool is_socket;
    bool is_cut;     /* the last line was written in part */
    uint64_t n_lost; /* lines that found no room, and that nobody was told of */
} out = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

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

/* O_NONBLOCK belongs to the pipe's or terminal's open file, which other processes use as well: only one of our own may
 * have it. Where none can be had (somebody else's pipe), each line is preceded by a look whether there is room. */
static void open_out(void)
{
    struct stat status;
    if (out.fd != STDERR_FILENO)
        close(out.fd);
    out.fd = STDERR_FILENO;
    out.is_socket = false;
    if (fstat(STDERR_FILENO, &status) != 0)
        return;
    out.is_socket = S_ISSOCK(status.st_mode);
    if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
        return;
    int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own >= 0)
        out.fd = own;
}

void log_start(enum log_level level)
{
    open_out();
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
    char raw[LINE_BYTES];
    vsnprintf(raw, sizeof(raw), format, arguments);
    attnp_utf8_copy(line, LINE_BYTES - 1, raw, strlen(raw));
}

/* Whether a write of at most PIPE_BUF bytes would not wait; of a descriptor that never does, the write itself tells. */
static bool has_room(void)
{
    struct pollfd descriptor = {.fd = out.fd, .events = POLLOUT};
    return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLOUT) != 0;
}

/* In one piece, so that lines of several threads do not mix; of a line that could be written in part only, the rest is
 * lost, and the next one begins anew. False: not a byte was taken. The mutex is held. */
static bool put(enum log_level level, const char *line)
{
    char text[TEXT_BYTES];
    int n;
    if (!has_room())
        return false;
    if (for_journal)
        n = snprintf(text, sizeof(text), "%s%s%s\n", out.is_cut ? "\n" : "", levels[level].journal, line);
    else
        n = snprintf(text, sizeof(text), "%sattnd: %s%s%s\n", out.is_cut ? "\n" : "",
                     level == LOG_LEVEL_INFO ? "" : levels[level].name, level == LOG_LEVEL_INFO ? "" : ": ", line);
    ssize_t n_written =
        out.is_socket ? send(out.fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) : write(out.fd, text, (size_t)n);
    if (n_written > 0)
        out.is_cut = n_written < n;
    return n_written > 0;
}

/* What was lost is told first. The mutex is held. */
static bool put_lost(void)
{
    char line[LINE_BYTES];
    if (out.n_lost == 0)
        return true;
    snprintf(line, sizeof(line), "lines of this log were lost, as nobody read it or it was full: %" PRIu64, out.n_lost);
    if (!put(LOG_LEVEL_WARNING, line))
        return false;
    out.n_lost = 0;
    return true;
}

/* False: the line was lost, and is told of later where `counts`. */
static bool write_line(enum log_level level, const char *line, bool counts)
{
    pthread_mutex_lock(&out.mutex);
    bool is_written = put_lost() && put(level, line);
    out.n_lost += !is_written && counts;
    pthread_mutex_unlock(&out.mutex);
    return is_written;
}

void log_lost(void)
{
    pthread_mutex_lock(&out.mutex);
    put_lost();
    pthread_mutex_unlock(&out.mutex);
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
        write_line(level, line, true);                                                                                 \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

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

/* Or else as a line of text; a quota counts what is left out by itself. */
static bool hand_over(enum log_level level, const struct log_about *about, const char *line)
{
    return send_entry(level, about, line) || write_line(level, line, false);
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
        write_line(level, line, true);
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
