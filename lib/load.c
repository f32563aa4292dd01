/* SPDX-License-Identifier: MIT */
/* Plans from files and their bytes: the only place of the library that opens a file. no_load.c takes its place in a
 * build without a loader. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attn/attn.h"
#include "bounds.h"
#include "model_file.h"
#include "options.h"
#include "plan.h"
#include "reason.h"

int attn_plan_parse(struct attn_plan **plan, const void *bytes, size_t n_bytes,
                    const struct attn_model_options *options, struct attn_reason *why)
{
    struct attn_model_options own;
    struct attn_encoder *encoder = NULL;
    int error = attn_model_options_take(&own, options, why);
    if (error == 0)
        error = attn_model_file_parse(&encoder, bytes, n_bytes, own.variant, why);
    return error != 0 ? error : attn_plan_make(plan, NULL, encoder, why);
}

/* The file's size in bytes, or an error. */
static int measure(int fd, const char *path, size_t *n_bytes, struct attn_reason *why)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return attn_refuse(why, ATTN_E_FILE, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return attn_refuse(why, ATTN_E_FILE, "%s is not a regular file", path);
    if (status.st_size > (off_t)ATTN_MAX_FILE_BYTES)
        return attn_refuse(why, ATTN_E_FILE, "%s has %lld bytes; a model file may have %u", path,
                           (long long)status.st_size, ATTN_MAX_FILE_BYTES);
    *n_bytes = (size_t)status.st_size;
    return 0;
}

static int read_all(int fd, const char *path, unsigned char *bytes, size_t n_bytes, struct attn_reason *why)
{
    size_t done = 0;
    while (done < n_bytes) {
        ssize_t got = read(fd, bytes + done, n_bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return attn_refuse(why, ATTN_E_FILE, "%s: %s", path, strerror(errno));
        if (got == 0)
            return attn_refuse(why, ATTN_E_FILE, "%s ended after %zu of %zu bytes: somebody is writing it", path, done,
                               n_bytes);
        done += (size_t)got;
    }
    return 0;
}

int attn_plan_load(struct attn_plan **plan, const char *path, const struct attn_model_options *options,
                   struct attn_reason *why)
{
    unsigned char *bytes = NULL;
    size_t n_bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not block the open */
    if (fd < 0)
        return attn_refuse(why, ATTN_E_FILE, "%s: %s", path, strerror(errno));
    int error = measure(fd, path, &n_bytes, why);
    if (error != 0)
        goto out;
    bytes = malloc(n_bytes > 0 ? n_bytes : 1);
    if (bytes == NULL) {
        error = attn_refuse(why, ATTN_E_MEMORY, "no memory for the %zu bytes of %s", n_bytes, path);
        goto out;
    }
    error = read_all(fd, path, bytes, n_bytes, why);
    if (error == 0)
        error = attn_plan_parse(plan, bytes, n_bytes, options, why);
out:
    free(bytes);
    close(fd);
    return error;
}
