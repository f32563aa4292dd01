/* SPDX-License-Identifier: MIT */
/* Entries with fields for systemd's journal. sd_journal_send would allocate, and wait where the journal is slow; its
 * protocol is one datagram (https://systemd.io/JOURNAL_NATIVE_PROTOCOL), so here it is sent without either. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_SOCKET      "/run/systemd/journal/socket"
#define JOURNAL_ENTRY_BYTES 2048

/* An entry while it is made, on the caller's memory. */
struct journal_entry {
    char bytes[JOURNAL_ENTRY_BYTES];
    size_t n;
    bool is_cut; /* a field had no room */
};

/* A socket for journal_send; -1: none can be had. It is the caller's. */
int journal_open(void);

/* Adds NAME=value; line ends in it, which would be fields of their own, are written as spaces. A field that does not
 * fit is left out. */
__attribute__((format(printf, 3, 4))) void journal_add(struct journal_entry *entry, const char *name,
                                                       const char *format, ...);

/* Sends the entry to the journal that listens on this path. False where it does not take it at once. Any thread. */
bool journal_send(int fd, const char *path, const struct journal_entry *entry);
