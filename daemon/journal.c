/* SPDX-License-Identifier: MIT */
#include "daemon/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int journal_open(void)
{
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void journal_add(struct journal_entry *entry, const char *name, const char *format, ...)
{
    va_list arguments;
    char *at = entry->bytes + entry->n;
    size_t room = sizeof(entry->bytes) - entry->n;
    int n_name = snprintf(at, room, "%s=", name);
    if (n_name < 0 || (size_t)n_name >= room) {
        entry->is_cut = true;
        return;
    }
    va_start(arguments, format);
    int n_value = vsnprintf(at + n_name, room - (size_t)n_name, format, arguments);
    va_end(arguments);
    if (n_value < 0 || (size_t)n_name + (size_t)n_value >= room) {
        entry->is_cut = true;
        return;
    }
    for (char *c = at + n_name; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    entry->n += (size_t)n_name + (size_t)n_value;
    entry->bytes[entry->n++] = '\n'; /* in the place of the terminating zero */
}

bool journal_send(int fd, const char *path, const struct journal_entry *entry)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return false;
    strcpy(address.sun_path, path);
    return sendto(fd, entry->bytes, entry->n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address,
                  sizeof(address)) == (ssize_t)entry->n;
}
