/* SPDX-License-Identifier: MIT */
/* All that is said to and asked of systemd; without it (or without libsystemd) everything here does nothing. */
#pragma once

#include <stdint.h>

/* The listening socket that systemd passed: its descriptor, -1 where none was passed, or -2 and *why where what was
 * passed is no listening Unix stream socket or more than one. Once, from the main thread: it clears the environment. */
int systemd_listen_fd(const char **why);

/* READY=1 with a first status, also at the end of what RELOADING=1 began; STATUS=; STOPPING=1; WATCHDOG=1. None waits
 * for systemd to read: where its socket is full, READY, RELOADING and STOPPING go with a later call, and the others are
 * left out. Main thread. */
__attribute__((format(printf, 1, 2))) void systemd_ready(const char *format, ...);
__attribute__((format(printf, 1, 2))) void systemd_status(const char *format, ...);
void systemd_reloading(void);
void systemd_stopping(void);
void systemd_alive(void);

/* Microseconds within which systemd_alive is due again and again; 0: no watchdog. */
uint64_t systemd_watchdog_us(void);

/* The first directory of StateDirectory=, which systemd made; NULL: none. Main thread. */
const char *systemd_state_directory(void);
