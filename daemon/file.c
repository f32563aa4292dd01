/* SPDX-License-Identifier: MIT */
/*
 * A name is looked at before it is opened, since opening a device can already do something, and what was opened is
 * looked at again, since the name may mean another file by then. O_NONBLOCK is for what came in between, and for those
 * of the kernel's own files that are regular and wait all the same.
 */
#include "daemon/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FIRST_ROOM 4096
#define READING    (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int refuse(char why[FILE_WHY_BYTES], const char *text)
{
    snprintf(why, FILE_WHY_BYTES, "%s", text);
    return -1;
}

/* Of errno. */
static int fail(char why[FILE_WHY_BYTES])
{
    return refuse(why, strerror(errno));
}

/* Linux has given it this number from the beginning. */
static bool is_nothing(const struct stat *status)
{
    return S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3);
}

static int check_kind(const struct stat *status, char why[FILE_WHY_BYTES])
{
    switch (status->st_mode & S_IFMT) {
    case S_IFREG:
        return 0;
    case S_IFDIR:
        return refuse(why, "it is a directory and no regular file");
    case S_IFIFO:
        return refuse(why, "it is a FIFO and no regular file");
    case S_IFSOCK:
        return refuse(why, "it is a socket and no regular file");
    case S_IFLNK:
        return refuse(why, "it is a symbolic link, which is not followed here");
    default:
        return is_nothing(status) ? 0 : refuse(why, "it is a device and no regular file");
    }
}

/* A descriptor of what may be read, and its size in bytes, or -1 and why. */
static int open_to_read(const char *path, uint64_t *n_bytes, char why[FILE_WHY_BYTES])
{
    struct stat status;
    if (stat(path, &status) != 0) {
        fail(why);
        return errno == ENOENT ? FILE_ABSENT : -1;
    }
    if (check_kind(&status, why) != 0)
        return -1;
    int fd = open(path, READING);
    if (fd < 0)
        return fail(why);
    if (fstat(fd, &status) != 0)
        fail(why);
    else if (check_kind(&status, why) == 0) {
        *n_bytes = (uint64_t)status.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

/* Reads on until the end or `room`. Bytes in *n. */
static int read_on(int fd, char *text, size_t room, size_t *n, char why[FILE_WHY_BYTES])
{
    while (*n < room) {
        ssize_t n_read = read(fd, text + *n, room - *n);
        if (n_read == 0)
            return 0;
        if (n_read > 0)
            *n += (size_t)n_read;
        else if (errno != EINTR)
            return fail(why);
    }
    return 0;
}

/* The room doubles, since the kernel's own files do not say how long they are. One byte more than `most` is read, to
 * see that there is one. */
static int read_all(int fd, size_t most, char **text, size_t *n, char why[FILE_WHY_BYTES])
{
    size_t room = most < FIRST_ROOM ? most + 1 : FIRST_ROOM;
    *n = 0;
    for (;;) {
        char *larger = realloc(*text, room + 1);
        if (larger == NULL)
            return refuse(why, "no memory");
        *text = larger;
        if (read_on(fd, *text, room, n, why) != 0)
            return -1;
        (*text)[*n] = '\0';
        if (*n < room)
            return 0;
        if (*n > most) {
            snprintf(why, FILE_WHY_BYTES, "it has more than %zu bytes, which is the limit", most);
            return -1;
        }
        room = room > most / 2 ? most + 1 : 2 * room;
    }
}

int file_read(const char *path, size_t most, char **text, size_t *n, char why[FILE_WHY_BYTES])
{
    uint64_t n_bytes;
    *text = NULL;
    int fd = open_to_read(path, &n_bytes, why), status = -1;
    if (fd < 0)
        return fd;
    if (n_bytes > most)
        snprintf(why, FILE_WHY_BYTES, "it has %ju bytes; the limit is %zu", (uintmax_t)n_bytes, most);
    else
        status = read_all(fd, most, text, n, why);
    close(fd);
    if (status != 0) {
        free(*text);
        *text = NULL;
    }
    return status;
}

static int write_all(int fd, const char *text, size_t n, char why[FILE_WHY_BYTES])
{
    for (size_t done = 0; done < n;) {
        ssize_t n_written = write(fd, text + done, n - done);
        if (n_written >= 0)
            done += (size_t)n_written;
        else if (errno != EINTR)
            return fail(why);
    }
    return 0;
}

/* O_EXCL: what has the name was left behind by a stop, or is somebody's trap; either goes first. */
static int write_new(const char *path, const char *text, size_t n, char why[FILE_WHY_BYTES])
{
    if (unlink(path) != 0 && errno != ENOENT)
        return fail(why);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(why);
    int status = write_all(fd, text, n, why);
    if (close(fd) != 0 && status == 0)
        status = fail(why);
    if (status != 0)
        unlink(path);
    return status;
}

int file_replace(const char *path, const char *text, size_t n, char why[FILE_WHY_BYTES])
{
    size_t n_beside = strlen(path) + sizeof(".new");
    char *beside = malloc(n_beside);
    if (beside == NULL)
        return refuse(why, "no memory");
    snprintf(beside, n_beside, "%s.new", path);
    int status = write_new(beside, text, n, why);
    if (status == 0 && rename(beside, path) != 0) {
        status = fail(why);
        unlink(beside);
    }
    free(beside);
    return status;
}

int file_open_own(const char *path, char why[FILE_WHY_BYTES])
{
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return is_nothing(&status) ? refuse(why, "it is a device and no regular file") : check_kind(&status, why);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0)
        return fail(why);
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    close(fd);
    return refuse(why, "it is no regular file");
}

int file_open_nothing(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* The lowest number that is free is taken, so from 0 on each comes to its turn. None can be written: who prints to a
 * closed descriptor is to learn of it. Where there is no /dev/null, a directory will do. */
void file_keep_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY | O_NOCTTY) < 0)
            (void)!open("/", O_RDONLY | O_DIRECTORY);
}
