/* SPDX-License-Identifier: MIT */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name, *journal;
} levels[] = {{"error", "<3>"}, {"warning", "<4>"}, {"info", "<6>"}, {"debug", "<7>"}};

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;
static bool for_journal;

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

static void write_line(enum log_level level, const char *format, va_list arguments)
{
    char line[1024];
    if (level > threshold)
        return;
    vsnprintf(line, sizeof(line), format, arguments);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    if (for_journal)
        fprintf(stderr, "%s%s\n", levels[level].journal, line);
    else
        fprintf(stderr, "attnd: %s%s%s\n", level == LOG_LEVEL_INFO ? "" : levels[level].name,
                level == LOG_LEVEL_INFO ? "" : ": ", line);
}

#define LOG_FUNCTION(function, level)                                                                                  \
    void function(const char *format, ...)                                                                             \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        write_line(level, format, arguments);                                                                          \
        va_end(arguments);                                                                                             \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
