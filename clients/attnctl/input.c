/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "attnctl/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attnctl/interrupt.h"

int input_open(struct input *input, const char *path, struct problem *problem)
{
    int is_stdin = strcmp(path, "-") == 0;
    struct stat status;

    *input = (struct input){.name = is_stdin ? "standard input" : path, .size = -1};
    /* Opening a FIFO would wait for its writer, and could not be told to stop; reading polls for that. */
    input->fd =
        is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (input->fd < 0 && errno == ENXIO)
        return problem_set(problem, "%s cannot be read: it is a socket, or a device that is not there", input->name);
    if (input->fd < 0)
        return problem_set(problem, "%s cannot be opened: %s", input->name, strerror(errno));
    if (fstat(input->fd, &status) < 0) {
        problem_set(problem, "%s cannot be opened: %s", input->name, strerror(errno));
        input_close(input);
        return -1;
    }
    if (S_ISDIR(status.st_mode)) {
        input_close(input);
        return problem_set(problem, "%s is a directory: name the files in it", input->name);
    }
    if (S_ISREG(status.st_mode)) {
        input->origin = lseek(input->fd, 0, SEEK_CUR);
        input->size = status.st_size > input->origin ? status.st_size - input->origin : 0;
    }
    return 0;
}

const char *input_kind(mode_t mode)
{
    return S_ISREG(mode)    ? "a file"
           : S_ISDIR(mode)  ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISBLK(mode)  ? "a block device"
                            : "a device";
}

int input_check_file(const char *path, struct problem *problem)
{
    struct stat status;

    if (stat(path, &status) < 0 || (S_ISREG(status.st_mode) && access(path, R_OK) < 0))
        return problem_set(problem, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return problem_set(problem, "%s is %s: it has to be a file", path, input_kind(status.st_mode));
    return 0;
}

int input_check_output(const char *path, const char *out_path, struct problem *problem)
{
    struct stat in, out;
    int has_in = (strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &in) : stat(path, &in)) == 0;

    if (!has_in || stat(out_path, &out) < 0 || !S_ISREG(in.st_mode) || in.st_dev != out.st_dev ||
        in.st_ino != out.st_ino)
        return 0;
    return problem_set(problem, "%s is the input, too, and would be written over: name another output", out_path);
}

void input_close(struct input *input)
{
    if (input->fd >= 0)
        close(input->fd);
    input->fd = -1;
}

/* Waits until there is something to read, or the end; -1 and a problem at an interruption. A FIFO that has had no
 * writer yet is not ready, but a read would find its end. */
static int wait_for_bytes(struct input *input, struct problem *problem)
{
    struct pollfd polls[] = {{.fd = input->fd, .events = POLLIN}, {.fd = interrupt_descriptor(), .events = POLLIN}};

    while (poll(polls, 2, -1) < 0 && errno == EINTR && !interrupted())
        ;
    return interrupted() ? problem_set(problem, "%s: interrupted", input->name) : 0;
}

/* One read(2) that gave something, or the end. A process that shares our standard input may have made it non-blocking.
 */
static ssize_t read_some(struct input *input, void *bytes, size_t n, struct problem *problem)
{
    for (;;) {
        ssize_t got;

        if (input->size < 0 && wait_for_bytes(input, problem) < 0)
            return -1;
        got = read(input->fd, bytes, n);
        if (got >= 0)
            return got;
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return problem_set(problem, "%s cannot be read: %s", input->name, strerror(errno));
    }
}

ssize_t input_peek(struct input *input, size_t n, const uint8_t **bytes, struct problem *problem)
{
    memmove(input->peeked, input->peeked + input->at, input->n_peeked - input->at);
    input->n_peeked -= input->at;
    input->at = 0;
    while (input->n_peeked < n) {
        ssize_t got = read_some(input, input->peeked + input->n_peeked, n - input->n_peeked, problem);

        if (got < 0)
            return -1;
        if (got == 0)
            break;
        input->n_peeked += (size_t)got;
    }
    *bytes = input->peeked;
    return (ssize_t)(input->n_peeked < n ? input->n_peeked : n);
}

ssize_t input_read(struct input *input, void *bytes, size_t n, struct problem *problem)
{
    size_t waiting = input->n_peeked - input->at;

    if (waiting == 0)
        return read_some(input, bytes, n, problem);
    if (n > waiting)
        n = waiting;
    memcpy(bytes, input->peeked + input->at, n);
    input->at += n;
    return (ssize_t)n;
}

int64_t input_read_all(struct input *input, void *bytes, uint64_t n, struct problem *problem)
{
    uint8_t skipped[4096];
    uint64_t done = 0;

    while (done < n) {
        uint64_t left = n - done;
        ssize_t got = bytes != NULL
                          ? input_read(input, (uint8_t *)bytes + done, left, problem)
                          : input_read(input, skipped, left < sizeof(skipped) ? left : sizeof(skipped), problem);

        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

int input_rewind(struct input *input)
{
    if (input->size < 0 || lseek(input->fd, input->origin, SEEK_SET) < 0)
        return -1;
    input->n_peeked = input->at = 0;
    return 0;
}
