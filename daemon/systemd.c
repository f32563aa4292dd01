/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "daemon/systemd.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

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

/* Not sd_notifyf, which allocates, even where nobody listens. */
static void notify(const char *prefix, const char *format, va_list arguments)
{
    char status[256], text[sizeof(status) + 32];
    vsnprintf(status, sizeof(status), format, arguments);
    snprintf(text, sizeof(text), "%sSTATUS=%s", prefix, status);
    sd_notify(0, text);
}

void systemd_ready(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    notify("READY=1\n", format, arguments);
    va_end(arguments);
}

void systemd_status(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    notify("", format, arguments);
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
    sd_notify(0, text);
}

void systemd_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=settling the frames that were accepted");
}

void systemd_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
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
