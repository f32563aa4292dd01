/* SPDX-License-Identifier: MIT */
/*
 * A Unix socket's file outlives its process, so a start has to tell a dead daemon's socket, which is replaced, from a
 * living one's, which must stay. bind() cannot tell. Two checks do: a lock on PATH.lock, which the kernel drops with
 * the process however it ends, and a connection attempt, for a socket whose listener keeps no such lock (systemd's).
 *
 * The lock file is removed at the end. Whoever opened it just before would then lock a file without a name, so after
 * locking the name is looked up again and must still mean the locked file.
 */
#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/file.h"
#include "daemon/log.h"
#include "daemon/systemd.h"

static void lock_path(const struct listener *listener, char path[128])
{
    snprintf(path, 128, "%s.lock", listener->path);
}

static bool same_file(int fd, const char *path)
{
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && stat(path, &named) == 0 && open_file.st_dev == named.st_dev &&
           open_file.st_ino == named.st_ino;
}

static int take_lock(struct listener *listener)
{
    char path[128], why[FILE_WHY_BYTES];
    lock_path(listener, path);
    for (;;) {
        int fd = file_open_own(path, why);
        if (fd < 0) {
            log_error("the lock file %s cannot be opened: %s; its folder has to exist and be writable to attnd's user",
                      path, why);
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            log_error("another attnd serves %s (it holds %s); stop it first, or choose another --socket",
                      listener->path, path);
            close(fd);
            return -1;
        }
        if (same_file(fd, path)) {
            listener->lock_fd = fd;
            return 0;
        }
        close(fd);
    }
}

/* Somebody accepts there, or might: anything but a refused connection counts as life. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool dead =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return !dead;
}

static int remove_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return 0;
    if (!S_ISSOCK(status.st_mode)) {
        log_error("%s exists and is no socket; remove it, or choose another --socket", address->sun_path);
        return -1;
    }
    if (is_alive(address)) {
        log_error("somebody listens on %s already; stop it first, or choose another --socket", address->sun_path);
        return -1;
    }
    if (unlink(address->sun_path) != 0) {
        log_error("the stale socket %s cannot be removed: %s", address->sun_path, strerror(errno));
        return -1;
    }
    return 0;
}

static int give_to_group(const struct config *config)
{
    const char *path = config_text(config, CONFIG_listen_socket), *name = config_text(config, CONFIG_listen_group);
    if (*name != '\0') {
        const struct group *group = getgrnam(name);
        if (group == NULL) {
            log_error("group '%s' of the socket does not exist; create it (groupadd -r %s) or change group in [listen]",
                      name, name);
            return -1;
        }
        if (chown(path, (uid_t)-1, group->gr_gid) != 0) {
            log_error("%s cannot be given to group '%s': %s; attnd's user has to be a member", path, name,
                      strerror(errno));
            return -1;
        }
    }
    if (chmod(path, (mode_t)config_number(config, CONFIG_listen_mode)) != 0) {
        log_error("the permissions of %s cannot be set: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

/* The socket is bound with no permissions for others, which it gets once it belongs to its group. */
static int bind_and_listen(struct listener *listener, const struct config *config, const struct sockaddr_un *address)
{
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    int status = listener->fd < 0 ? -1 : bind(listener->fd, (const struct sockaddr *)address, sizeof(*address));
    umask(mask);
    if (status != 0) {
        log_error("attnd cannot listen on %s: %s", address->sun_path, strerror(errno));
        return -1;
    }
    if (give_to_group(config) == 0) {
        if (listen(listener->fd, (int)config_number(config, CONFIG_listen_backlog)) == 0)
            return 0;
        log_error("attnd cannot listen on %s: %s", address->sun_path, strerror(errno));
    }
    unlink(address->sun_path);
    return -1;
}

static int open_own(struct listener *listener, const struct config *config)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = config_text(config, CONFIG_listen_socket);
    memcpy(address.sun_path, path, strlen(path) + 1); /* at most 107 bytes by its key's range */
    memcpy(listener->path, path, strlen(path) + 1);
    if (take_lock(listener) != 0)
        return -1;
    if (remove_stale(&address) == 0 && bind_and_listen(listener, config, &address) == 0)
        return 0;
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    char lock[128];
    lock_path(listener, lock);
    unlink(lock);
    close(listener->lock_fd);
    return -1;
}

int listener_open(struct listener *listener, const struct config *config)
{
    const char *why;
    *listener = (struct listener){.fd = -1, .lock_fd = -1};
    int fd = systemd_listen_fd(&why);
    if (fd == -1)
        return open_own(listener, config);
    if (fd < 0) {
        log_error("%s", why);
        return -1;
    }
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
        log_error("the socket that systemd passed cannot be used: %s", strerror(errno));
        return -1;
    }
    listener->fd = fd;
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->lock_fd >= 0) {
        char lock[128];
        lock_path(listener, lock);
        unlink(listener->path);
        unlink(lock);
        close(listener->lock_fd);
    }
    *listener = (struct listener){.fd = -1, .lock_fd = -1};
}
