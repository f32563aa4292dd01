/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attnctl/ending.h"
#include "attnctl/input.h"
#include "attnctl/interrupt.h"

#define ENDING      ".new"
#define TRY_FIFO_MS 50 /* between two looks whether a FIFO has a reader */

static int cannot_write(const struct output *output, struct problem *problem)
{
    return problem_set(problem, "%s cannot be written: %s", output->name, strerror(errno));
}

/* For a file that is not whole. */
static void undo(void *ctx)
{
    const struct output *output = ctx;
    unlink(output->new_path);
}

static void forget_paths(struct output *output)
{
    ending_remove(undo, output);
    free(output->new_path);
    free(output->path);
    output->new_path = output->path = NULL;
}

/* Gives the file the owner, the group and the permissions of the one that it replaces, as far as the caller may; or
 * those of a new file. What a group was allowed, no other group is: it has what all others have. */
static void set_mode(int descriptor, const struct stat *old)
{
    mode_t mask = umask(0), mode = old != NULL ? old->st_mode & 0777 : 0666 & ~mask;
    umask(mask);
    if (old != NULL && fchown(descriptor, old->st_uid, old->st_gid) < 0 &&
        fchown(descriptor, (uid_t)-1, old->st_gid) < 0)
        mode = (mode & ~(mode_t)S_IRWXG) | (mode & S_IRWXO) << 3;
    fchmod(descriptor, mode);
}

/* A new file beside the place. Returns a descriptor, or -1 with errno. `old`: the file there; NULL: none. */
static int open_beside(struct output *output, const char *path, const struct stat *old)
{
    output->path = old != NULL ? realpath(path, NULL) : strdup(path); /* the file that a link leads to is replaced */
    if (output->path == NULL || asprintf(&output->new_path, "%s.XXXXXX" ENDING, output->path) < 0) {
        output->new_path = NULL;
        return -1;
    }
    ending_hold();
    int descriptor = mkostemps(output->new_path, (int)strlen(ENDING), O_CLOEXEC);
    if (descriptor >= 0)
        ending_add(undo, output);
    ending_release();
    if (descriptor >= 0)
        set_mode(descriptor, old);
    return descriptor;
}

/* An open that waits for the reader of a FIFO could not be told to stop. */
static int open_fifo(const char *path)
{
    struct pollfd interruption = {.fd = interrupt_descriptor(), .events = POLLIN};
    int descriptor;
    while ((descriptor = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 && errno == ENXIO) {
        poll(&interruption, 1, TRY_FIFO_MS);
        if (interrupted()) {
            errno = EINTR;
            return -1;
        }
    }
    if (descriptor >= 0)
        fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    return descriptor;
}

/* Whether a path is the name of an open descriptor. */
static bool names_descriptor(const char *path)
{
    static const char *const starts[] = {"/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (strncmp(path, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

/* Opens by the kind of what is there. Returns a descriptor, or -1 with errno. */
static int open_kind(struct output *output, const char *path)
{
    struct stat status, link;
    bool is_there = stat(path, &status) == 0;
    if (!is_there && errno != ENOENT)
        return -1;
    if (is_there && S_ISFIFO(status.st_mode))
        return open_fifo(path);
    if (is_there && access(path, W_OK) < 0)
        return -1;
    /* Names of descriptors, and a link to a file that is to come, are no places to rename to. */
    bool is_no_place = names_descriptor(path) || (!is_there && lstat(path, &link) == 0);
    if (is_no_place || (is_there && !S_ISREG(status.st_mode)))
        return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0666);
    int descriptor = open_beside(output, path, is_there ? &status : NULL);
    if (descriptor >= 0)
        return descriptor;
    int saved = errno;
    forget_paths(output);
    errno = saved;
    /* A folder that cannot be changed may have a file that can. */
    return is_there ? open(path, O_WRONLY | O_TRUNC | O_CLOEXEC) : -1;
}

/* -1 and a problem for a thing that would be lost, or cannot be written at all. */
static int refuse(const char *path, struct problem *problem)
{
    struct stat status;
    if (stat(path, &status) < 0 || S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
        return 0;
    return problem_set(problem, "%s is %s, and is not written over: name a file", path, input_kind(status.st_mode));
}

int output_open(struct output *output, const char *path, struct problem *problem)
{
    *output = (struct output){.name = path};
    if (strcmp(path, "-") == 0) {
        output->name = "standard output";
        output->file = stdout;
        return 0;
    }
    if (refuse(path, problem) < 0)
        return -1;
    int descriptor = open_kind(output, path);
    if (descriptor >= 0)
        output->file = fdopen(descriptor, "w");
    if (output->file != NULL)
        return 0;
    cannot_write(output, problem);
    if (descriptor >= 0)
        close(descriptor);
    output_abandon(output);
    return -1;
}

int output_finish(struct output *output, struct problem *problem)
{
    int result = fflush(output->file) != 0 || ferror(output->file) ? cannot_write(output, problem) : 0;
    if (output->file != stdout && fclose(output->file) != 0 && result == 0)
        result = cannot_write(output, problem);
    output->file = NULL;
    if (result == 0 && output->new_path != NULL && rename(output->new_path, output->path) != 0)
        result = cannot_write(output, problem);
    if (result < 0)
        output_abandon(output);
    else
        forget_paths(output);
    return result;
}

void output_abandon(struct output *output)
{
    if (output->file != NULL && output->file != stdout)
        fclose(output->file);
    output->file = NULL;
    if (output->new_path != NULL)
        unlink(output->new_path);
    forget_paths(output);
}
