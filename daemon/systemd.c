/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "daemon/systemd.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* It needs nothing of libsystemd, and means the same where another program sets it. */
const char *systemd_state_directory(void)
{
    static char first[PATH_MAX];
    const char *all = getenv("STATE_DIRECTORY");
    if (all == NULL || all[0] == '\0' || strcspn(all, ":") >= sizeof(first))
        return NULL;
    memcpy(first, all, strcspn(all, ":")); /* zeros follow */
    return first;
}

#ifdef HAVE_SYSTEMD

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define TEXT_BYTES  320
#define MOST_UNSENT 4

int systemd_listen_fd(const char **why)
{
    int n_fds = sd_listen_fds(1);
    if (n_fds <= 0)
        return -1;
    if (n_fds > 1) {
        *why = "systemd passed more than one socket; attnd.socket may have one ListenStream= only";
        return -2;
    }
    if (sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_STREAM, 1) <= 0) {
        *why = "what systemd passed is no listening Unix stream socket; see ListenStream= in attnd.socket";
        return -2;
    }
    return SD_LISTEN_FDS_START;
}

/* What systemd has to know sooner or later, and could not be sent yet. */
static struct {
    char texts[MOST_UNSENT][TEXT_BYTES];
    size_t n;
} unsent;

/* Not sd_notify, which waits where nobody reads the socket, as a manager that hangs does not; the main thread, which
 * accepts, would wait with it. (Nor sd_notifyf, which allocates.) False: it is to be sent again. */
static bool send_text(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n_path = path != NULL ? strlen(path) : 0;
    if (n_path == 0)
        return true;
    if (n_path >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
        sd_notify(0, text); /* a kind of address that only libsystemd knows */
        return true;
    }
    memcpy(address.sun_path, path, n_path);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* abstract */
    socklen_t n_address = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n_path + (path[0] == '/'));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    ssize_t n = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, n_address);
    bool has_room = n >= 0 || (errno != EAGAIN && errno != ENOBUFS);
    close(fd);
    return has_room;
}

static bool send_unsent(void)
{
    size_t n_sent = 0;
    while (n_sent < unsent.n && send_text(unsent.texts[n_sent]))
        n_sent++;
    unsent.n -= n_sent;
    memmove(unsent.texts[0], unsent.texts[n_sent], unsent.n * sizeof(unsent.texts[0]));
    return unsent.n == 0;
}

/* In order. Of what `matters` the newest are kept until they are sent; the rest comes again by itself. */
static void notify(const char *text, bool matters)
{
    if ((send_unsent() && send_text(text)) || !matters)
        return;
    if (unsent.n == MOST_UNSENT)
        memmove(unsent.texts[0], unsent.texts[1], --unsent.n * sizeof(unsent.texts[0]));
    snprintf(unsent.texts[unsent.n++], TEXT_BYTES, "%s", text);
}

static void notify_status(const char *prefix, bool matters, const char *format, va_list arguments)
{
    char status[256], text[TEXT_BYTES];
    vsnprintf(status, sizeof(status), format, arguments);
    snprintf(text, sizeof(text), "%sSTATUS=%s", prefix, status);
    notify(text, matters);
}

void systemd_ready(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    notify_status("READY=1\n", true, format, arguments);
    va_end(arguments);
}

void systemd_status(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    notify_status("", false, format, arguments);
    va_end(arguments);
}

/* The time tells the answer to this reload's signal from that to an earlier one (sd_notify(3)). */
void systemd_reloading(void)
{
    struct timespec now = {0};
    char text[128];
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%jd\nSTATUS=reading the configuration again",
             (intmax_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    notify(text, true);
}

void systemd_stopping(void)
{
    notify("STOPPING=1\nSTATUS=settling the frames that were accepted", true);
}

void systemd_alive(void)
{
    notify("WATCHDOG=1", false);
}

uint64_t systemd_watchdog_us(void)
{
    uint64_t interval_us = 0;
    return sd_watchdog_enabled(0, &interval_us) > 0 ? interval_us : 0;
}

#else

int systemd_listen_fd(const char **why)
{
    (void)why;
    return -1;
}

void systemd_ready(const char *format, ...)
{
    (void)format;
}

void systemd_status(const char *format, ...)
{
    (void)format;
}

void systemd_reloading(void)
{
}

void systemd_stopping(void)
{
}

void systemd_alive(void)
{
}

uint64_t systemd_watchdog_us(void)
{
    return 0;
}

#endif
